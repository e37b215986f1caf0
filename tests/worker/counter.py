"""A counter that hands out letters: a stub of a queue of errands, and the doing of them, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from tests.virtual_time import clock
from tests.worker.poller_story import SETTINGS, nobody
from worker.backoff import Outages
from worker.database import Job, Outage, Refusal
from worker.drain import Drain
from worker.errands import Errands, Trade, Unfinished
from worker.metrics import Metrics
from worker.settler import Report


class Counter:
    """The database's side of a queue, and the doing of its errands: each takes ``takes`` seconds."""

    def __init__(self, *errands: str) -> None:
        self.due = list(errands)
        self.takes = 1.0
        self.began: dict[str, float] = {}
        self.asked: list[int] = []
        self.settled: list[list[Report]] = []
        self.down = False
        self.refusal: Refusal | None = None
        self.bugs: set[str] = set()
        self.others = 0
        self.ticks = 0
        self.outages = Outages()

    @property
    def reports(self) -> dict[str, str]:
        return {report["token"]: report["said"] for call in self.settled for report in call}

    async def take(self, slots: int) -> list[Job]:
        await self._answer()
        if self.refusal:
            raise self.refusal
        self.asked.append(slots)
        taken, self.due = self.due[:slots], self.due[slots:]
        return [{"token": errand} for errand in taken]

    async def perform(self, errand: Job) -> Report:
        self.began[errand["token"]] = clock()
        if errand["token"] in self.bugs:
            raise ZeroDivisionError("a bug")
        await asyncio.sleep(self.takes)
        return {"token": errand["token"], "said": "done"}

    def give_up(self, errand: Job, why: Unfinished) -> Report:
        return {"token": errand["token"], "said": why.value}

    async def settle(self, reports: Sequence[Report]) -> list[Job]:
        await self._answer()
        self.settled.append(list(reports))
        return []

    async def work_left(self, queues: Sequence[str]) -> dict[str, int]:
        assert queues == ["letters"]
        return {"due": len(self.due), "inFlight": self.others}

    async def tick(self) -> None:
        self.ticks += 1

    async def _answer(self) -> None:
        await asyncio.sleep(0.001)
        if self.down:
            raise Outage("connection refused")

    def loop(self, *, drain: bool = False, hands: int = 4) -> Errands:
        trade = Trade("letters", self.take, self.perform, self.give_up, self.settle, seconds=12, hands=hands)
        database: Any = self
        ending = Drain(database, ("letters",), self.outages) if drain else None
        settings = replace(SETTINGS, shutdown_grace_seconds=5)
        return Errands(trade, settings, Metrics(), outages=self.outages, greet=nobody, drain=ending)


@asynccontextmanager
async def at_work(made: Errands) -> AsyncIterator[None]:
    task = asyncio.create_task(made.run())
    try:
        yield
    finally:
        made.stop()
        assert await task == 0
