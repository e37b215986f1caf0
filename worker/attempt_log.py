"""Rows of ``integration_run_logs``, one per attempt of an external call: fire and forget.

They wait in bounded memory, ride in batches each second, and are flushed at shutdown. What cannot be written is counted
and said once; it never stands in the way of a retry or an outcome, and never hides the error that it tells of.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from worker import telemetry
from worker.cold_start import FirstCall
from worker.database import Outage, Refusal
from worker.metrics import Metrics
from worker.retry import Attempt

Row = Mapping[str, Any]
_MOST_WAITING = 10_000
_MOST_AT_ONCE = 1_000
_MOST_REFUSED = 5
"""Rows that are refused one after the other, each by itself, before all that wait are let go."""
FLUSH_SECONDS = 1.0
_FAREWELL_SECONDS = 3.0


class AttemptLog:
    """``send`` writes rows; ``record`` never waits and never raises."""

    def __init__(
        self, send: Callable[[Sequence[Row]], Awaitable[None]], metrics: Metrics, *, most: int = _MOST_WAITING
    ) -> None:
        self._send = send
        self._metrics = metrics
        self.first_call = FirstCall()
        self._rows: deque[Row] = deque(maxlen=most)
        self._under_way: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        return len(self._rows)

    def record(self, row: Row) -> None:
        """Keep a row until the next flush. When too many wait, the oldest goes."""
        self.first_call.note(str(row["adapter_name"]), str(row.get("operation")), row.get("duration_ms"))
        if len(self._rows) == self._rows.maxlen:
            self._metrics.dropped_rows.add()
        self._rows.append(row)
        self._metrics.attempts.add(adapter=str(row["adapter_name"]), error_class=str(row["error_class"] or "none"))

    async def run(self) -> None:
        """Flush each second until cancelled. A flush that is under way then goes on: :meth:`farewell` waits for it."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self._under_way = asyncio.create_task(self.flush())
            await asyncio.shield(self._under_way)

    async def flush(self) -> None:
        """Write what waits; during an outage it waits on. A row that is refused is let go, and costs no other.

        Refused rows are told apart by halving. When several in a row stand alone, the database takes none: all go.
        """
        size, alone = _MOST_AT_ONCE, 0
        while self._rows:
            batch = [self._rows.popleft() for _ in range(min(len(self._rows), size))]
            try:
                await self._send(batch)
            except Outage as error:
                self._put_back(batch)
                telemetry.debug("attempts.postponed", message=str(error), rows=len(batch))
                return
            except asyncio.CancelledError:
                self._put_back(batch)
                raise
            except Refusal as error:
                if len(batch) > 1:
                    self._put_back(batch)
                    size = len(batch) // 2
                    continue
                alone += 1
                self._let_go(1 if alone < _MOST_REFUSED else 1 + self.waiting, error)
            else:
                size, alone = min(size * 2, _MOST_AT_ONCE), 0

    async def farewell(self) -> None:
        """The last flush, which may take a moment and no longer."""
        try:
            async with asyncio.timeout(_FAREWELL_SECONDS):
                if self._under_way:
                    await asyncio.gather(self._under_way, return_exceptions=True)
                await self.flush()
        except TimeoutError:
            pass
        if self._rows:
            telemetry.warning("attempts.lost", rows=len(self._rows))

    def _let_go(self, count: int, error: Refusal) -> None:
        """Give up the row at hand, and with it, when ``count`` is more than one, all that wait."""
        if count > 1:
            self._rows.clear()
        self._metrics.dropped_rows.add(count)
        telemetry.warning("attempts.refused", message=str(error), rows=count)

    def _put_back(self, batch: list[Row]) -> None:
        room = (self._rows.maxlen or len(batch)) - len(self._rows)
        self._metrics.dropped_rows.add(max(len(batch) - room, 0))
        self._rows.extendleft(reversed(batch[-room:] if room else []))


def row_of(job: Mapping[str, Any], operation: str, attempt: Attempt) -> Row:
    """One attempt as a row. Its message was redacted and cut when the error was made."""
    error = attempt.error
    return {
        "correlation_id": job["correlationId"],
        "org_id": job["orgId"],
        "integration_type": job["integrationType"],
        "run_id": job.get("runId"),
        "adapter_name": job["integrationType"],
        "operation": operation,
        "attempt_number": attempt.number,
        "total_attempts": attempt.number if error is None else None,
        "error_class": error.error_class.value if error else None,
        "http_status": error.http_status if error else None,
        "error_message": error.message if error else None,
        "duration_ms": round(attempt.duration * 1000),
        "timestamp": datetime.now(UTC).isoformat(),
    }
