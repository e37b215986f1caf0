"""One organisation's round: all connections at once, each its own result, whatever the others do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from tests.virtual_time import VIRTUAL_TIME, clock
from tests.worker.stub_adapter import StubAdapter
from worker.attempt_log import AttemptLog
from worker.contract import Call, Health, HealthResult
from worker.credentials import CredentialProvider
from worker.errands import Unfinished
from worker.errors import Executed, RateLimited, Unauthorized
from worker.health_checks import HealthChecks, broken, put_down
from worker.http import Client
from worker.metrics import Metrics
from worker.settings import Settings
from worker.trades import health_trade

pytestmark = pytest.mark.anyio

SECRET = "sesame-open-1234"
Check = Callable[[Call], Awaitable[HealthResult]]


@pytest.fixture
def anyio_backend() -> Any:
    return VIRTUAL_TIME


def well(latency_ms: int = 20) -> HealthResult:
    return HealthResult(Health.HEALTHY, latency_ms, datetime.now(UTC))


async def answer(_call: Call) -> HealthResult:
    return well()


async def hang(_call: Call) -> HealthResult:
    await asyncio.sleep(3600)
    raise AssertionError


class Scripted(StubAdapter):
    def __init__(self, check: Check) -> None:
        super().__init__()
        self._check = check

    async def check(self, call: Call) -> HealthResult:
        return await self._check(call)


class Bench:
    """Connections of one organisation, named by how they behave."""

    def __init__(self, **checks: Check) -> None:
        self.checks = checks
        self.rows: list[Mapping[str, Any]] = []
        self.attempts = AttemptLog(self._keep, Metrics())
        self.asked: list[Any] = []
        self.errand = {
            "lane": str(uuid4()),
            "token": str(uuid4()),
            "leaseSeconds": 60,
            "checks": [self._check(name) for name in checks],
        }
        self.errand["orgId"] = self.errand["lane"]

    def _check(self, name: str) -> dict[str, Any]:
        return {
            "lane": str(uuid4()),
            "orgId": str(uuid4()),
            "integrationType": name,
            "settings": {"settlement_account": "2910", "slow_after_ms": 3000},
            "allowedHosts": [],
            "token": str(uuid4()),
            "correlationId": str(uuid4()),
        }

    async def _keep(self, rows: Any) -> None:
        self.rows += rows

    def _load(self, name: str) -> Any:
        adapter = Scripted(self.checks[name])
        adapter.settings_model = _anybody(name)  # type: ignore[misc]
        return adapter

    def _credentials(self, token: Any) -> CredentialProvider:
        self.asked.append(token)

        async def read(_integration: Any) -> dict[str, Any]:
            return {"secret": SECRET, "version": 1, "expiresAt": None}

        return CredentialProvider(read)

    @property
    def health(self) -> HealthChecks:
        return HealthChecks(self._load, Client(), self._credentials, self.attempts)

    async def round(self) -> dict[str, dict[str, Any]]:
        report = await self.health.run_health_checks(self.errand)
        assert (report["lane"], report["token"]) == (self.errand["lane"], self.errand["token"])
        await self.attempts.flush()
        return {check["integrationType"]: check for check in report["checks"]}


def _anybody(name: str) -> Any:
    from typing import Literal

    from pydantic import create_model

    from worker.settings_schema import AdapterSettings

    kind: Any = Literal[name]
    return create_model(f"Settings{name}", __base__=AdapterSettings, integration_type=(kind, name))


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


async def test_times_are_told_by_how_long_after_the_round_began() -> None:
    (result,) = (await Bench(good=answer).round()).values()
    assert 0 <= result["afterSeconds"] < 5


async def test_a_failed_check_is_an_attempt_and_a_good_one_is_not() -> None:
    async def fails(_call: Call) -> HealthResult:
        raise Unauthorized("HTTP 401", http_status=401, executed=Executed.NO)

    bench = Bench(bad=fails, dead=hang, good=answer)
    await bench.round()
    assert sorted((row["adapter_name"], row["operation"], row["error_class"]) for row in bench.rows) == [
        ("bad", "check", "permanent"),
        ("dead", "check", "timeout"),
    ]


async def test_the_first_call_to_a_system_is_told_as_a_cold_start_and_the_others_are_not(
    capfd: pytest.CaptureFixture[str],
) -> None:
    from worker import telemetry

    telemetry.configure("info", "json")
    bench = Bench(good=answer)
    for _ in range(3):
        await bench.round()
    told = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    cold = [line for line in told if line["event"] == "cold_start.first_call"]
    assert [(line["adapter"], line["operation"], line["latency_ms"]) for line in cold] == [("good", "check", 20)]


async def test_the_adapter_fetches_the_credential_itself_for_the_lease_of_the_round() -> None:
    seen: list[str] = []

    async def fetches(call: Call) -> HealthResult:
        assert SECRET not in repr(call)
        seen.append((await call.credential()).get_secret_value())
        return well()

    bench = Bench(good=fetches)
    await bench.round()
    assert seen == [SECRET]
    assert [str(token) for token in bench.asked] == [bench.errand["checks"][0]["token"]]  # type: ignore[index]


async def test_no_line_of_the_log_and_no_report_holds_a_credential(capfd: pytest.CaptureFixture[str]) -> None:
    from worker import telemetry

    async def careless(call: Call) -> HealthResult:
        secret = (await call.credential()).get_secret_value()
        raise RuntimeError(f"GET https://erp/?key={secret} failed, Authorization: token {secret}")

    telemetry.configure("debug", "json")
    bench = Bench(bad=careless)
    results = await bench.round()
    told = capfd.readouterr()
    assert SECRET not in told.out + told.err + json.dumps(results) + json.dumps(bench.rows, default=str)
    lines = [json.loads(line) for line in told.err.splitlines() if "connection.checked" in line]
    words = {"event", "level", "timestamp", "integration_type", "organization_id", "status", "latency_ms"}
    assert [set(line) - words for line in lines] == [set()]
    assert lines[0]["integration_type"] == "bad"


async def test_what_an_adapter_says_of_a_credential_is_masked(capfd: pytest.CaptureFixture[str]) -> None:
    async def careless(call: Call) -> HealthResult:
        secret = (await call.credential()).get_secret_value()
        return HealthResult(Health.DEGRADED, 5, datetime.now(UTC), f"slow with {secret}")

    (result,) = (await Bench(slow=careless).round()).values()
    assert result["error"].startswith("slow with ")
    assert SECRET not in result["error"]


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
