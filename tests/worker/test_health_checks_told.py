"""What is told of a round of checks: times, attempts, cold starts, and never a credential."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.virtual_time import VIRTUAL_TIME
from tests.worker.bench import SECRET, Bench, answer, hang, well
from worker.contract import Call, Health, HealthResult
from worker.errors import Executed, Unauthorized

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return VIRTUAL_TIME


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
