"""What all loops of a worker share, seen on the simplest: an outage, an end in good order, a drain, a refusal."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import pytest

from tests.virtual_time import VIRTUAL_TIME, clock
from tests.worker.counter import Counter, at_work
from tests.worker.poller_story import SETTINGS, nobody, until
from worker import telemetry
from worker.backoff import Outages
from worker.database import Job, Refusal
from worker.drain import Drain
from worker.errands import Errands, Trade
from worker.metrics import Metrics
from worker.settler import Report

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return VIRTUAL_TIME


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


async def test_a_stopped_loop_notices_an_outage_and_its_end_by_what_it_reports() -> None:
    counter = Counter("a")
    made = counter.loop()
    task = asyncio.create_task(made.run())
    await until(lambda: bool(counter.began))
    made.stop()  # it takes nothing more, so nothing else asks the database
    counter.down = True
    await until(lambda: counter.outages.down)
    counter.down = False
    assert await task == 0
    assert not counter.outages.down


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


async def test_reports_that_cannot_be_brought_home_are_told_with_their_queue_and_by_the_exit_code() -> None:
    stream = io.StringIO()
    telemetry.configure("info", "json", stream)
    counter = Counter("a")
    made = counter.loop()
    task = asyncio.create_task(made.run())
    await until(lambda: bool(counter.began))
    counter.down = True
    made.stop()
    assert await task == 1
    telemetry.configure()
    said = {event["event"]: event for event in map(json.loads, stream.getvalue().splitlines())}
    assert (said["worker.finishing"]["queue"], said["worker.finishing"]["jobs"]) == ("letters", 1)
    assert (said["worker.left_unsettled"]["queue"], said["worker.left_unsettled"]["reports"]) == ("letters", 1)


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
