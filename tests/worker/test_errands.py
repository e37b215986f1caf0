"""Side jobs: taken as there are hands, ended within their time, reported together, whatever became of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.virtual_time import VIRTUAL_TIME
from tests.worker.poller_story import SETTINGS, clock, nobody, until
from worker.backoff import Outages
from worker.database import Job, Outage, Refusal
from worker.drain import Drain
from worker.errands import Errands, Trade, Unfinished
from worker.metrics import Metrics
from worker.settler import Report

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return VIRTUAL_TIME


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
        metrics = Metrics()
        outages = Outages(metrics.outages.add)
        database: Any = self
        ending = Drain(database, ("letters",), outages) if drain else None
        settings = replace(SETTINGS, shutdown_grace_seconds=5)
        return Errands(trade, settings, metrics, outages=outages, greet=nobody, drain=ending)


@asynccontextmanager
async def at_work(made: Errands) -> AsyncIterator[None]:
    task = asyncio.create_task(made.run())
    try:
        yield
    finally:
        made.stop()
        assert await task == 0


async def test_errands_are_done_side_by_side_and_no_more_than_there_are_hands() -> None:
    counter = Counter(*"abcdefg")
    async with at_work(counter.loop(hands=3)):
        await until(lambda: len(counter.reports) == 7)
    begun = sorted(counter.began.values())
    assert begun[2] - begun[0] < 0.1
    assert begun[3] - begun[0] >= counter.takes
    assert max(counter.asked) == 3


async def test_what_ends_together_is_reported_in_one_call() -> None:
    counter = Counter(*"abcd")
    async with at_work(counter.loop()):
        await until(lambda: len(counter.reports) == 4)
    assert [len(call) for call in counter.settled] == [4]


async def test_an_errand_that_does_not_end_is_given_up_after_its_time() -> None:
    counter = Counter("a")
    counter.takes = 3600
    async with at_work(counter.loop()):
        began = clock()
        await until(lambda: bool(counter.reports))
        assert clock() - began == pytest.approx(12, abs=0.1)
    assert counter.reports == {"a": "deadline"}


async def test_a_bug_in_one_errand_is_a_report_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    counter = Counter("a", "b")
    counter.bugs = {"a"}
    async with at_work(counter.loop()):
        await until(lambda: len(counter.reports) == 2)
    assert counter.reports == {"a": "bug", "b": "done"}


async def test_a_report_outlives_an_outage_of_the_database() -> None:
    counter = Counter("a")
    async with at_work(counter.loop()):
        await until(lambda: bool(counter.began))
        counter.down = True
        await asyncio.sleep(60)
        assert counter.reports == {}
        counter.down = False
        await until(lambda: counter.reports == {"a": "done"})


async def test_stopping_finishes_what_is_in_flight_and_takes_nothing_more() -> None:
    counter = Counter(*"abcdef")
    made = counter.loop(hands=2)
    task = asyncio.create_task(made.run())
    await until(lambda: len(counter.began) == 2)
    made.stop()
    assert await task == 0
    assert counter.reports == {"a": "done", "b": "done"}
    assert counter.due == list("cdef")


async def test_what_does_not_end_within_the_grace_period_is_given_up_and_told() -> None:
    counter = Counter("a")
    counter.takes = 11
    made = counter.loop()
    task = asyncio.create_task(made.run())
    await until(lambda: bool(counter.began))
    made.stop()
    began = clock()
    assert await task == 0
    assert clock() - began == pytest.approx(5, abs=0.1)
    assert counter.reports == {"a": "stopped"}


async def test_reports_that_cannot_be_brought_home_are_told_by_the_exit_code() -> None:
    counter = Counter("a")
    made = counter.loop()
    task = asyncio.create_task(made.run())
    await until(lambda: bool(counter.began))
    counter.down = True
    made.stop()
    assert await task == 1


async def test_a_refused_worker_ends_with_1() -> None:
    counter = Counter("a")
    counter.refusal = Refusal("contract 1, contract 2", "KB010")
    assert await counter.loop().run() == 1


async def test_a_drain_ends_when_nothing_is_left_here_or_elsewhere() -> None:
    counter = Counter(*"abcdefghi")
    counter.others = 1
    task = asyncio.create_task(counter.loop(drain=True).run())
    await until(lambda: len(counter.reports) == 9)
    await asyncio.sleep(20)
    assert not task.done()
    counter.others = 0
    assert await task == 0


async def test_loops_that_drain_together_end_together() -> None:
    """What one of them does may make work for another."""
    first, second = Counter("a"), Counter()
    first.takes = 10

    async def perform(errand: Job) -> Report:
        report = await Counter.perform(first, errand)
        second.due.append("b")  # made by the last errand of the first
        return report

    database: Any = second
    outages = Outages()
    ending = Drain(database, ["letters"], outages)
    made = []
    for counter in (first, second):
        doing = perform if counter is first else counter.perform
        trade = Trade("letters", counter.take, doing, counter.give_up, counter.settle, 12, 4)
        made.append(Errands(trade, SETTINGS, Metrics(), outages=outages, greet=nobody, drain=ending))
    assert await asyncio.gather(*(loop.run() for loop in made)) == [0, 0]
    assert (first.reports, second.reports) == ({"a": "done"}, {"b": "done"})
