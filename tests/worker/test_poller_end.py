"""How deliveries, drains and workers end: in good order, with every outcome told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.virtual_time import VIRTUAL_TIME, clock
from tests.worker.poller_story import SETTINGS, book, outcomes, poller, until, working
from tests.worker.stub_database import StubDatabase, a_job
from worker.database import Refusal
from worker.leases import Lease
from worker.reports import Tally

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return VIRTUAL_TIME


async def test_a_delivery_ends_after_its_time_with_its_progress_kept() -> None:
    job = a_job(items=2, deliverySeconds=60)

    async def perform(tally: Tally, _lease: Lease) -> None:
        tally.settle(1, "exported")
        tally.writing = True
        await asyncio.sleep(3600)

    database = StubDatabase(job)
    async with working(poller(database, perform)):
        began = clock()
        await until(lambda: bool(database.reports))
        assert clock() - began == pytest.approx(60 + SETTINGS.longest_write_seconds, abs=1)
    (report,) = database.reports
    assert (outcomes(report), report["release"], report["failure"]) == (["exported", "unknown"], True, None)


async def test_a_lane_is_given_back_when_no_further_write_would_fit_into_its_delivery() -> None:
    async def perform(tally: Tally, lease: Lease) -> None:
        await asyncio.sleep(50)
        await book(tally, lease)

    database = StubDatabase(a_job(deliverySeconds=60))
    async with working(poller(database, perform)):
        await until(lambda: bool(database.reports))
    assert database.reports[0]["release"] is True


async def test_stopping_finishes_what_is_in_flight_and_takes_nothing_more() -> None:
    async def perform(tally: Tally, lease: Lease) -> None:
        await asyncio.sleep(10)
        await book(tally, lease)

    database = StubDatabase(*(a_job() for _ in range(8)))
    made = poller(database, perform)
    task = asyncio.create_task(made.run())
    await asyncio.sleep(1)
    made.stop()
    assert await task == 0
    assert [outcomes(report) for report in database.reports] == [["exported"]] * 4
    assert all(report["release"] for report in database.reports)
    assert len(database.due) == 4


@pytest.mark.parametrize(("writing", "outcome"), [(False, "unsent"), (True, "unknown")])
async def test_what_does_not_end_within_the_grace_period_is_given_back(writing: bool, outcome: str) -> None:
    async def perform(tally: Tally, _lease: Lease) -> None:
        tally.writing = writing
        await asyncio.sleep(3600)

    database = StubDatabase(a_job(items=2, deliverySeconds=3000, leaseSeconds=3000))
    made = poller(database, perform, replace(SETTINGS, lease_seconds=3000))
    task = asyncio.create_task(made.run())
    await asyncio.sleep(1)
    made.stop()
    began = clock()
    assert await task == 0
    assert clock() - began == pytest.approx(30, abs=1)
    (report,) = database.reports
    assert (outcomes(report), report["release"]) == ([outcome, outcome], True)


async def test_settling_is_not_cut_by_stopping() -> None:
    database = StubDatabase(a_job())
    database.settle_gate = asyncio.Event()
    made = poller(database)
    task = asyncio.create_task(made.run())
    await asyncio.sleep(1)
    made.stop()
    await asyncio.sleep(1)
    database.settle_gate.set()
    assert await task == 0
    assert outcomes(database.reports[0]) == ["exported"]


async def test_a_continuation_that_arrives_while_stopping_is_given_back_untouched() -> None:
    first = a_job()
    second = a_job(lane=first["lane"])
    database = StubDatabase(first)
    database.settle_gate = asyncio.Event()
    database.next = lambda report: second if report["token"] == first["token"] else None
    made = poller(database)
    task = asyncio.create_task(made.run())
    await asyncio.sleep(1)
    made.stop()
    database.settle_gate.set()
    assert await task == 0
    assert [(r["token"], outcomes(r), r["release"]) for r in database.reports] == [
        (first["token"], ["exported"], False),
        (second["token"], ["unsent"], True),
    ]


async def test_a_worker_that_cannot_bring_its_outcomes_home_says_so_with_its_exit_code() -> None:
    async def perform(tally: Tally, lease: Lease) -> None:
        database.down = True
        await book(tally, lease)

    database = StubDatabase(a_job())
    made = poller(database, perform)
    task = asyncio.create_task(made.run())
    await asyncio.sleep(1)
    made.stop()
    assert await task == 1


async def test_a_drain_ends_when_nothing_is_due_or_in_flight() -> None:
    database = StubDatabase(*(a_job() for _ in range(9)))
    assert await poller(database, drain=True).run() == 0
    assert len(database.reports) == 9


async def test_a_drain_waits_for_what_other_workers_hold() -> None:
    others = [3]

    def left() -> dict[str, int]:
        others[0] -= 1
        return {"due": 0, "inFlight": max(others[0], 0)}

    database = StubDatabase()
    database.left = left
    assert await poller(database, drain=True).run() == 0
    assert others == [0]
    assert database.ticks == 0


async def test_a_drain_heals_what_is_due_but_was_not_handed_out() -> None:
    database = StubDatabase()
    database.left = lambda: {"due": 0 if database.ticks else 1, "inFlight": 0}
    assert await poller(database, drain=True).run() == 0
    assert database.ticks == 1


async def test_a_drain_survives_an_outage() -> None:
    database = StubDatabase(a_job())
    database.down = True
    task = asyncio.create_task(poller(database, drain=True).run())
    await asyncio.sleep(20)
    database.down = False
    assert await task == 0
    assert len(database.reports) == 1


async def test_a_worker_of_another_contract_settles_what_it_holds_and_ends_with_1() -> None:
    async def perform(tally: Tally, lease: Lease) -> None:
        database.refusals["claim"] = Refusal("contract 1, contract 2", "KB010")
        await asyncio.sleep(20)
        await book(tally, lease)

    database = StubDatabase(a_job())
    assert await poller(database, perform).run() == 1
    assert outcomes(database.reports[0]) == ["exported"]


async def test_a_heart_that_breaks_ends_the_worker_loudly() -> None:
    database = StubDatabase()
    database.refusals["beat"] = ZeroDivisionError("a bug in the heart")
    with pytest.raises(ExceptionGroup) as error:
        await poller(database).run()
    assert isinstance(error.value.exceptions[0], ZeroDivisionError)
