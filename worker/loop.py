"""What every loop of a worker does: ask for work, do it, bring its reports home, and end in good order.

A subclass knows its queue: :class:`worker.poller.Poller` the exports, :class:`worker.errands.Errands` all the others.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from worker import telemetry
from worker.backoff import Outages
from worker.cadence import Cadence
from worker.database import Job, Outage
from worker.drain import Drain
from worker.intake import Intake
from worker.leases import Clock, now
from worker.settings import Settings
from worker.settler import Report, Settler

_LAST_SETTLE_SECONDS = 5.0
_SLOWEST_POLL = 5
"""How many times the first pause between two idle polls the longest one is."""


class Loop(ABC):
    """One queue's work in this worker's hands. It is run once, and ends when it is stopped, drained or refused."""

    def __init__(
        self,
        queue: str,
        settings: Settings,
        *,
        outages: Outages,
        greet: Callable[[], Awaitable[object]],
        drain: Drain | None,
        clock: Clock = now,
    ) -> None:
        self._queue, self._outages, self._clock = queue, outages, clock
        self._grace = settings.shutdown_grace_seconds
        cadence = Cadence(settings.poll_seconds, settings.poll_seconds * (1 if drain else _SLOWEST_POLL))
        self.intake = Intake(self._take, outages, cadence, free=self._free, greet=greet)
        self._settler = Settler(self._settle, self._arrived, clock=clock)
        self._drained = drain.over if drain else _never
        self.first_claim_at: float | None = None
        self._underway: set[asyncio.Task[None]] = set()
        self._left_unsettled = False
        self.stopping = False
        if drain:
            drain.watch(self)

    @property
    @abstractmethod
    def running(self) -> int:
        """What is in our hands: being done, or waiting to be reported."""

    @abstractmethod
    def _free(self) -> int:
        """How much more would fit."""

    @abstractmethod
    async def _take(self, free: int) -> int:
        """Claim this much at most, and begin it. How much was handed out."""

    @abstractmethod
    async def _send(self, reports: Sequence[Report]) -> list[Job]:
        """Settle these in the database. What their lanes have next."""

    @abstractmethod
    def _arrived(self, reports: Sequence[Report], jobs: Sequence[Job], since: float) -> None:
        """These are home, and this is what they were answered to the call that began at ``since``."""

    def _organs(self) -> list[Coroutine[Any, Any, None]]:
        """What runs beside the intake for as long as the loop does. One that breaks ends the process, loudly."""
        return [self._settler.run()]

    def stop(self) -> None:
        """Take nothing more; finish what is in flight."""
        self.stopping = True
        self.intake.close()

    async def run(self) -> int:
        """Work until stopped or drained. The answer is the exit code of the process."""
        try:
            async with asyncio.TaskGroup() as group:
                organs = [group.create_task(organ) for organ in self._organs()]
                await self.intake.run(self._drained)
                self.stopping = True
                await self._finish()
                for organ in organs:
                    organ.cancel()
        finally:
            for task in self._underway:
                task.cancel()
            await asyncio.gather(*self._underway, return_exceptions=True)
        return 1 if self.intake.refused or self._left_unsettled else 0

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._underway.add(task)
        task.add_done_callback(self._underway.discard)

    async def _settle(self, reports: Sequence[Report]) -> list[Job]:
        try:
            jobs = await self._send(reports)
        except Outage as error:
            self._outages.lost(str(error))
            raise
        self._outages.back()
        return jobs

    async def _finish(self) -> None:
        """Let what is in flight end within the grace period, give the rest back, and bring every report home."""
        if self._underway:
            telemetry.info("worker.finishing", queue=self._queue, jobs=len(self._underway))
            await asyncio.wait(self._underway, timeout=self._grace)
        for task in list(self._underway):
            task.cancel()
        if self._underway:
            await asyncio.wait(self._underway, timeout=_LAST_SETTLE_SECONDS)
        try:
            async with asyncio.timeout(_LAST_SETTLE_SECONDS):
                await self._settler.all_home()
        except TimeoutError:
            telemetry.error("worker.left_unsettled", queue=self._queue, reports=self._settler.waiting)
            self._left_unsettled = True


async def _never() -> bool:
    return False
