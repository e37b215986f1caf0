"""The job of health: all connections of one organisation asked at the same time, each within its own ten seconds.

Whatever one of them does (hang, raise, refuse to be cancelled) is its own result and nobody else's. Nothing here
decides what a result means for alerts, for the next check or for the mode of an integration: the database does. A log
line of a check holds the type of the integration, the organisation and the outcome, and no words of the other side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any
from uuid import UUID

from worker import redaction, telemetry
from worker.attempt_log import AttemptLog, row_of
from worker.calls import call_of
from worker.contract import Adapter, Health, HealthResult
from worker.credentials import CredentialProvider
from worker.errors import BilagError, Executed, RateLimited, Timeout, describe
from worker.retry import Attempt

if TYPE_CHECKING:
    from worker.http import Client

CHECK_SECONDS = 10.0
"""The most that one check may take."""
ROUND_SECONDS = 11.0
"""When a round is told without the checks that do not end even when they are cut; the rest of 12 s is to tell it."""
_NO_ANSWER = f"no answer within {CHECK_SECONDS:g} seconds"
RATE_LIMITED = "rate_limited"

Check = Mapping[str, Any]


@dataclass(frozen=True)
class HealthChecks:
    """What every check of this process shares. ``credentials`` makes the provider of one round's lease."""

    load: Callable[[str], Adapter]
    client: Client
    credentials: Callable[[UUID], CredentialProvider]
    attempts: AttemptLog

    async def run_health_checks(self, errand: Check) -> dict[str, Any]:
        """One organisation's round, as the database handed it out; its report."""
        since = datetime.now(UTC)
        tasks = [asyncio.create_task(self._check(check)) for check in errand["checks"]]
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=ROUND_SECONDS)
        finally:
            for task in tasks:
                task.cancel()
        results = [_result_of(task) for task in tasks]
        for check, result in zip(errand["checks"], results, strict=True):
            _tell(check, result)
        return report_of(errand, results, since)

    async def _check(self, check: Check) -> HealthResult:
        """One connection. Raises BilagError for what the connection did, anything else for what its adapter did."""
        adapter = self.load(check["integrationType"])
        self.client.opened()  # what it costs to open is not the other side's latency
        began = perf_counter()
        try:
            call = call_of(check, adapter, self.client, self.credentials(UUID(check["token"])))
            with telemetry.bound(correlation_id=str(check["correlationId"]), organization_id=str(check["orgId"])):
                async with asyncio.timeout(CHECK_SECONDS):
                    result = await adapter.check(call)
        except RateLimited as error:
            self._log(check, error, began)
            latency = round((perf_counter() - began) * 1000)
            return HealthResult(Health.DEGRADED, latency, datetime.now(UTC), error.message, RATE_LIMITED)
        except TimeoutError:
            self._log(check, Timeout(_NO_ANSWER, executed=Executed.NO), began)
            return _unreachable(_NO_ANSWER)
        except BilagError as error:
            self._log(check, error, began)
            return _unreachable(error.message)
        self.attempts.first_call.note(check["integrationType"], "check", result.latency_ms)
        return _slow(result, call.settings.slow_after_ms)

    def _log(self, check: Check, error: BilagError, began: float) -> None:
        self.attempts.record(row_of(check, "check", Attempt(1, error, perf_counter() - began)))


def report_of(errand: Check, results: list[HealthResult], since: datetime) -> dict[str, Any]:
    """What the database is told of a round. Times are told by how long after ``since``: its clock is not ours."""
    checks = [
        {
            "integrationType": check["integrationType"],
            "status": result.status.value,
            "latencyMs": result.latency_ms,
            "afterSeconds": max((result.checked_at - since).total_seconds(), 0),
            "error": redaction.message(result.error) if result.error else None,
            "reasonCode": result.reason_code,
        }
        for check, result in zip(errand["checks"], results, strict=True)
    ]
    return {"lane": errand["lane"], "token": errand["token"], "stopped": False, "checks": checks}


def put_down(errand: Check) -> dict[str, Any]:
    """The report of a round that was not done: somebody else does it."""
    return {"lane": errand["lane"], "token": errand["token"], "stopped": True, "checks": []}


def broken(errand: Check) -> dict[str, Any]:
    """The report of a round that this worker broke: every connection counts as unreachable, so that it is not lost."""
    now = datetime.now(UTC)
    results = [_unreachable("The worker failed to check it.") for _ in errand["checks"]]
    return report_of(errand, results, now)


def _unreachable(message: str) -> HealthResult:
    return HealthResult(Health.UNREACHABLE, None, datetime.now(UTC), message)


def _result_of(task: asyncio.Task[HealthResult]) -> HealthResult:
    """What a check came to, however it ended."""
    if not task.done():
        return _unreachable(_NO_ANSWER)
    if task.cancelled():
        return _unreachable("the check was cut")
    error = task.exception()
    return task.result() if error is None else _unreachable(describe(error).message)


def _slow(result: HealthResult, slow_after_ms: int) -> HealthResult:
    """A good answer that took too long is a degraded connection."""
    if result.status is not Health.HEALTHY or (result.latency_ms or 0) <= slow_after_ms:
        return result
    message = f"It answered after {result.latency_ms} ms; slow_after_ms is {slow_after_ms}."
    return HealthResult(Health.DEGRADED, result.latency_ms, result.checked_at, message)


def _tell(check: Check, result: HealthResult) -> None:
    telemetry.info(
        "connection.checked",
        integration_type=check["integrationType"],
        organization_id=str(check["orgId"]),
        status=result.status.value,
        latency_ms=result.latency_ms,
    )
