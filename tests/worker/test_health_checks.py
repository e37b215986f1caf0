"""One organisation's round: all connections at once, each its own result, whatever the others do."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.virtual_time import VIRTUAL_TIME, clock
from tests.worker.bench import Bench, answer, hang, well
from worker.contract import Call, Health, HealthResult
from worker.errands import Unfinished
from worker.errors import Executed, RateLimited, Unauthorized
from worker.health_checks import broken, put_down
from worker.settings import Settings
from worker.trades import health_trade

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return VIRTUAL_TIME


async def test_all_checks_begin_before_any_of_them_ends() -> None:
    events: list[str] = []

    async def slowly(_call: Call) -> HealthResult:
        events.append("began")
        await asyncio.sleep(2)
        events.append("ended")
        return well()

    began = clock()
    results = await Bench(a=slowly, b=slowly, c=slowly, d=slowly).round()
    assert events == ["began"] * 4 + ["ended"] * 4
    assert clock() - began == pytest.approx(2, abs=0.1)
    assert {result["status"] for result in results.values()} == {"healthy"}


async def test_a_check_that_does_not_end_is_unreachable_after_ten_seconds_and_holds_up_no_other() -> None:
    began = clock()
    results = await Bench(good=answer, dead=hang).round()
    assert clock() - began == pytest.approx(10, abs=0.1)
    assert (results["good"]["status"], results["good"]["latencyMs"]) == ("healthy", 20)
    assert (results["dead"]["status"], results["dead"]["latencyMs"], results["dead"]["error"]) == (
        "unreachable",
        None,
        "no answer within 10 seconds",
    )


async def test_a_round_is_told_within_twelve_seconds_even_if_a_check_refuses_to_be_cut() -> None:
    stubborn = asyncio.Event()

    async def deaf(_call: Call) -> HealthResult:
        while not stubborn.is_set():
            with suppress(asyncio.CancelledError):
                await stubborn.wait()
        return well()

    began = clock()
    results = await Bench(good=answer, deaf=deaf).round()
    assert clock() - began < 12
    assert [results[name]["status"] for name in ("good", "deaf")] == ["healthy", "unreachable"]
    stubborn.set()
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (Unauthorized("HTTP 401", http_status=401, executed=Executed.NO), "HTTP 401"),
        (ZeroDivisionError("a bug"), "ZeroDivisionError: a bug"),
        (ConnectionResetError("cut"), "ConnectionResetError: cut"),
    ],
)
async def test_whatever_a_check_raises_is_unreachable_with_its_message(error: Exception, message: str) -> None:
    async def fails(_call: Call) -> HealthResult:
        raise error

    results = await Bench(bad=fails, good=answer).round()
    assert (results["bad"]["status"], results["bad"]["error"]) == ("unreachable", message)
    assert results["good"]["status"] == "healthy"


async def test_a_check_that_cancels_itself_is_unreachable_and_not_the_end_of_the_round() -> None:
    async def cancels(_call: Call) -> HealthResult:
        raise asyncio.CancelledError

    results = await Bench(odd=cancels, good=answer).round()
    assert [results[name]["status"] for name in ("odd", "good")] == ["unreachable", "healthy"]


async def test_a_rate_limit_is_degraded_and_says_so_to_the_database() -> None:
    async def limited(_call: Call) -> HealthResult:
        raise RateLimited("Not enough credits", http_status=429)

    (result,) = (await Bench(busy=limited).round()).values()
    assert (result["status"], result["error"], result["reasonCode"]) == (
        "degraded",
        "Not enough credits",
        "rate_limited",
    )


@pytest.mark.parametrize(("latency", "status"), [(3000, "healthy"), (3001, "degraded")])
async def test_an_answer_that_is_slower_than_the_setting_says_is_degraded(latency: int, status: str) -> None:
    async def slow(_call: Call) -> HealthResult:
        return well(latency)

    (result,) = (await Bench(slow=slow).round()).values()
    assert (result["status"], result["latencyMs"]) == (status, latency)
    assert (result["error"] is None) == (status == "healthy")


async def test_what_an_adapter_says_is_not_made_better_by_being_quick() -> None:
    async def poor(_call: Call) -> HealthResult:
        return HealthResult(Health.UNREACHABLE, 4000, datetime.now(UTC), "maintenance")

    (result,) = (await Bench(poor=poor).round()).values()
    assert (result["status"], result["error"]) == ("unreachable", "maintenance")


async def test_settings_that_do_not_fit_are_that_connections_own_fault() -> None:
    bench = Bench(wrong=answer, good=answer)
    bench.errand["checks"][0]["settings"] = {"settlement_account": "2910", "slow_after_ms": "soon"}  # type: ignore[index]
    results = await bench.round()
    assert results["wrong"]["status"] == "unreachable"
    assert "slow_after_ms" in results["wrong"]["error"]
    assert results["good"]["status"] == "healthy"


async def test_an_unknown_type_is_that_connections_own_fault() -> None:
    bench = Bench(good=answer)
    bench.errand["checks"] = [bench._check("nobody"), *bench.errand["checks"]]  # type: ignore[misc]
    results = await bench.round()
    assert [results[name]["status"] for name in ("nobody", "good")] == ["unreachable", "healthy"]


async def test_a_round_with_nothing_to_check_is_a_report_all_the_same() -> None:
    assert await Bench().round() == {}


def test_a_round_that_was_put_down_says_so_and_one_that_broke_counts_as_unreachable() -> None:
    bench = Bench(a=answer, b=answer)
    assert put_down(bench.errand) == {
        "lane": bench.errand["lane"], "token": bench.errand["token"], "stopped": True, "checks": [],
    }  # fmt: skip
    report = broken(bench.errand)
    assert report["stopped"] is False
    assert [check["status"] for check in report["checks"]] == ["unreachable"] * 2


def test_a_shutdown_puts_a_round_down_and_anything_else_settles_it() -> None:
    stub: Any = None
    database: Any = type("D", (), {"settle_health_checks": None})
    trade = health_trade(database, Settings(concurrency=7), stub)
    assert (trade.hands, trade.seconds, trade.queue) == (7, 12, "health_checks")
    errand: dict[str, Any] = Bench(a=answer).errand
    assert trade.give_up(errand, Unfinished.STOPPED)["stopped"] is True
    for why in (Unfinished.DEADLINE, Unfinished.BUG):
        assert trade.give_up(errand, why)["stopped"] is False
