"""Side jobs of a worker: errands of one queue, a few at a time, each done within its time, reported together.

Exports have a lane, a lease that is renewed, and outcomes that must not be guessed; they go through the poller. An
errand is small (a health check, a webhook): it ends within its deadline, and whatever becomes of it is one report. All
else is as in every loop (:mod:`worker.loop`).

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
from worker.database import Job
from worker.drain import Drain
from worker.loop import Loop
from worker.metrics import Metrics
from worker.settings import Settings
from worker.settler import Report


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


class Errands(Loop):
    """The loop of one trade."""

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
        super().__init__(trade.queue, settings, outages=outages, greet=greet, drain=drain)
        self._trade, self._metrics = trade, metrics
        self._unreported = 0

    @property
    def running(self) -> int:
        """Errands in our hands: being done, or waiting to be reported."""
        return len(self._underway) + self._unreported

    def _free(self) -> int:
        return self._trade.hands - self.running

    async def _take(self, free: int) -> int:
        errands = await self._trade.take(free)
        self.first_claim_at = self.first_claim_at or self._clock()
        for errand in errands:
            self._spawn(self._do(errand))
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

    async def _send(self, reports: Sequence[Report]) -> list[Job]:
        return await self._trade.settle(reports)

    def _arrived(self, reports: Sequence[Report], jobs: Sequence[Job], since: float) -> None:
        self._unreported -= len(reports)
        telemetry.debug("errands.settled", queue=self._trade.queue, errands=len(reports))
        self.intake.cadence.wake()
