"""Side jobs of a worker: errands of one queue, a few at a time, each done within its time, reported together.

Exports have a lane, a lease that is renewed, and outcomes that must not be guessed; they go through the poller. An
errand is small (a health check, a webhook): it ends within its deadline, and whatever becomes of it is one report. The
loop is the same otherwise: take as many as there are free hands, report all that ended in one call, wait through an
outage of the database, finish what is in flight at a shutdown.

A queue of errands is a :class:`Trade`. Its SQL side leases what it hands out in a table, so an errand that is never
reported is handed out again when its lease has run out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from worker import telemetry
from worker.backoff import Outages
from worker.cadence import Cadence
from worker.database import Job, Outage
from worker.drain import Drain
from worker.intake import Intake
from worker.leases import now
from worker.metrics import Metrics
from worker.settings import Settings
from worker.settler import Report, Settler

_LAST_REPORT_SECONDS = 5.0
_SLOWEST_POLL = 5


class Unfinished(StrEnum):
    """Why an errand has no report of its own."""

    DEADLINE = "deadline"
    STOPPED = "stopped"
    BUG = "bug"


@dataclass(frozen=True)
class Trade:
    """One queue of errands, and how they are done.

    ``take`` leases up to so many; ``perform`` does one and returns its report; ``settle`` sends reports, and may be
    repeated safely. ``give_up`` makes the report of an errand that did not end by itself. ``seconds`` is the most that
    one may take, ``hands`` how many are done at once.
    """

    queue: str
    take: Callable[[int], Awaitable[list[Job]]]
    perform: Callable[[Job], Awaitable[Report]]
    give_up: Callable[[Job, Unfinished], Report]
    settle: Callable[[Sequence[Report]], Awaitable[list[Job]]]
    seconds: float
    hands: int


class Errands:
    """The loop of one trade. It is run, stopped and asked like the poller."""

    def __init__(
        self,
        trade: Trade,
        settings: Settings,
        metrics: Metrics,
        *,
        outages: Outages,
        greet: Callable[[], Awaitable[object]],
        drain: Drain | None = None,
    ) -> None:
        self._trade, self._metrics, self._outages = trade, metrics, outages
        self._grace = settings.shutdown_grace_seconds
        self._drained = drain.over if drain else _never
        slowest = settings.poll_seconds * (1 if drain else _SLOWEST_POLL)
        cadence = Cadence(settings.poll_seconds, slowest)
        self.intake = Intake(self._take, outages, cadence, free=self._free, greet=greet)
        self._settler = Settler(self._settle, self._arrived)
        self.first_claim_at: float | None = None
        self._underway: set[asyncio.Task[None]] = set()
        self._unreported = 0
        self._left_unsettled = False
        self.stopping = False
        if drain:
            drain.watch(self)

    @property
    def running(self) -> int:
        """Errands in our hands: being done, or waiting to be reported."""
        return len(self._underway) + self._unreported

    def stop(self) -> None:
        """Take nothing more; finish what is in flight."""
        self.stopping = True
        self.intake.close()

    async def run(self) -> int:
        """Work until stopped or drained. The answer is the exit code of the process."""
        try:
            async with asyncio.TaskGroup() as group:
                settling = group.create_task(self._settler.run())
                await self.intake.run(self._drained)
                self.stopping = True
                await self._finish()
                settling.cancel()
        finally:
            for task in self._underway:
                task.cancel()
            await asyncio.gather(*self._underway, return_exceptions=True)
        return 1 if self.intake.refused or self._left_unsettled else 0

    def _free(self) -> int:
        return self._trade.hands - self.running

    async def _take(self, free: int) -> int:
        errands = await self._trade.take(free)
        self.first_claim_at = self.first_claim_at or now()
        for errand in errands:
            task = asyncio.create_task(self._do(errand))
            self._underway.add(task)
            task.add_done_callback(self._underway.discard)
        return len(errands)

    async def _do(self, errand: Job) -> None:
        """One errand, from beginning to report. However it ends, its report is put."""
        trade = self._trade
        ended = "done"
        try:
            async with asyncio.timeout(trade.seconds):
                report = await trade.perform(errand)
        except TimeoutError:
            ended, report = "deadline", trade.give_up(errand, Unfinished.DEADLINE)
        except asyncio.CancelledError:
            ended, report = "stopped", trade.give_up(errand, Unfinished.STOPPED)
        except Exception as bug:  # noqa: BLE001 - as in the poller: a bug in one errand must not take the worker along
            ended, report = "bug", trade.give_up(errand, Unfinished.BUG)
            telemetry.error("errand.broke", exc_info=bug, queue=trade.queue)
        self._metrics.errands.add(queue=trade.queue, ended=ended)
        self._unreported += 1
        self._settler.put(report)

    async def _settle(self, reports: Sequence[Report]) -> list[Job]:
        try:
            answer = await self._trade.settle(reports)
        except Outage as error:
            self._outages.lost(str(error))
            raise
        self._outages.back()
        return answer

    def _arrived(self, reports: Sequence[Report], _answer: list[Job], _since: float) -> None:
        self._unreported -= len(reports)
        telemetry.debug("errands.settled", queue=self._trade.queue, errands=len(reports))
        self.intake.cadence.wake()

    async def _finish(self) -> None:
        """Let what is in flight end within the grace period, give up the rest, and bring every report home."""
        if self._underway:
            telemetry.info("errands.finishing", queue=self._trade.queue, errands=len(self._underway))
            await asyncio.wait(self._underway, timeout=self._grace)
        for task in list(self._underway):
            task.cancel()
        if self._underway:
            await asyncio.wait(self._underway, timeout=_LAST_REPORT_SECONDS)
        try:
            async with asyncio.timeout(_LAST_REPORT_SECONDS):
                await self._settler.all_home()
        except TimeoutError:
            telemetry.error("errands.left_unsettled", queue=self._trade.queue, reports=self._settler.waiting)
            self._left_unsettled = True


async def _never() -> bool:
    return False
