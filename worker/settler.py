"""Brings outcomes home: all reports that wait go in one call, and no outcome is ever dropped.

While one call is under way the next reports gather. A call that got no answer is repeated as it is, for settling is
idempotent by item and attempt. A call that is refused is halved until the refused report stands alone, so that one
that the database cannot take does not keep the others. Nor does one whose lane somebody holds in an open transaction:
the database answers "later", and it is told again by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from worker import telemetry
from worker.backoff import Backoff
from worker.database import Job, Outage, Refusal
from worker.leases import Clock, now

Report = dict[str, Any]
_MOST_AT_ONCE = 200
_TRIES_OF_A_REFUSED_REPORT = 3
_LATER_SECONDS = 0.5
_LATER = "later"


class Settler:
    """``send`` settles reports and returns what their lanes have next; ``arrived`` is told once they are home."""

    def __init__(
        self,
        send: Callable[[Sequence[Report]], Awaitable[list[Job]]],
        arrived: Callable[[Sequence[Report], list[Job], float], None],
        *,
        clock: Clock = now,
        backoff: Backoff | None = None,
    ) -> None:
        self._send = send
        self._arrived = arrived
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._waiting: list[Report] = []
        self._put_off = 0
        self._refused: dict[int, int] = {}
        self._some = asyncio.Event()
        self._home = asyncio.Event()
        self._home.set()

    @property
    def waiting(self) -> int:
        return len(self._waiting) + self._put_off

    def put(self, report: Report) -> None:
        self._waiting.append(report)
        self._home.clear()
        self._some.set()

    async def all_home(self) -> None:
        """Wait until nothing is left to report."""
        await self._home.wait()

    async def run(self) -> None:
        """Settle until cancelled."""
        while True:
            await self._some.wait()
            await asyncio.sleep(0)  # jobs that end in this very turn of the loop come along
            reports = self._waiting[:_MOST_AT_ONCE]
            if await self._settle(reports):
                self._backoff.reset()
            else:
                await self._backoff.sleep()
            if not self._waiting:
                self._some.clear()
                if not self._put_off:
                    self._home.set()

    async def _settle(self, reports: Sequence[Report]) -> bool:
        """Settle these, in halves if they are refused. False if the database did not answer: they wait on."""
        before = self._clock()
        try:
            answer = await self._send(reports)
        except Outage as error:
            telemetry.warning("settle.postponed", message=str(error), reports=len(reports))
            return False
        except Refusal as error:
            return await self._apart(reports, error)
        self._forget(reports)
        later = {(job["lane"], job["token"]) for job in answer if job.get("kind") == _LATER}
        for report in reports:
            if (report.get("lane"), report.get("token")) in later:
                self._put_off += 1
                asyncio.get_running_loop().call_later(_LATER_SECONDS, self._again, report)
        home = [report for report in reports if (report.get("lane"), report.get("token")) not in later]
        self._arrived(home, [job for job in answer if job.get("kind") != _LATER], before)
        return True

    def _again(self, report: Report) -> None:
        self._put_off -= 1
        self.put(report)

    async def _apart(self, reports: Sequence[Report], error: Refusal) -> bool:
        middle = len(reports) // 2
        if middle:
            return await self._settle(reports[:middle]) and await self._settle(reports[middle:])
        report = reports[0]
        times = self._refused[id(report)] = self._refused.get(id(report), 0) + 1
        telemetry.error(
            "report.refused", message=str(error), sqlstate=error.sqlstate, lane=report.get("lane"), times=times
        )
        if times < _TRIES_OF_A_REFUSED_REPORT:
            return False
        # Its lease runs out, the database puts what was sent in doubt, and a look-up finds what became of it.
        self._forget(reports)
        self._arrived(reports, [], self._clock())
        return True

    def _forget(self, reports: Sequence[Report]) -> None:
        home = {id(report) for report in reports}
        self._waiting = [report for report in self._waiting if id(report) not in home]
        for known in home & self._refused.keys():
            del self._refused[known]
