"""Claim, dispatch, settle: every job is done and every outcome comes home."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.virtual_time import VIRTUAL_TIME, clock
from tests.worker.poller_story import book, outcomes, poller, until, working
from tests.worker.stub_database import StubDatabase, a_job
from worker.leases import Lease
from worker.reports import Tally

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return VIRTUAL_TIME


async def test_a_job_is_claimed_done_and_settled() -> None:
    job = a_job(items=2)
    database = StubDatabase(job)
    async with working(poller(database)):
        await until(lambda: bool(database.reports))
    (report,) = database.reports
    assert (report["lane"], report["token"], outcomes(report)) == (job["lane"], job["token"], ["exported", "exported"])
    assert (report["failure"], report["release"]) == (None, False)


async def test_no_more_is_claimed_than_there_are_hands() -> None:
    busy, most = 0, 0

    async def slowly(tally: Tally, lease: Lease) -> None:
        nonlocal busy, most
        busy, most = busy + 1, max(most, busy + 1)
        await asyncio.sleep(1)
        busy -= 1
        await book(tally, lease)

    database = StubDatabase(*(a_job() for _ in range(12)))
    async with working(poller(database, slowly)):
        await until(lambda: len(database.reports) == 12)
    assert most == 4
    assert max(database.claims) == 4


async def test_jobs_that_end_together_are_settled_together_in_one_call() -> None:
    database = StubDatabase(*(a_job() for _ in range(4)))
    async with working(poller(database)):
        await until(lambda: len(database.reports) == 4)
    assert [len(bundle) for bundle in database.settled] == [4]


async def test_a_round_of_short_jobs_costs_two_calls() -> None:
    database = StubDatabase(*(a_job() for _ in range(40)))
    async with working(poller(database)):
        await until(lambda: len(database.reports) == 40)
    assert len(database.settled) == 10
    assert len([claimed for claimed in database.claims if claimed]) <= 12


async def test_what_a_lane_has_next_is_begun_at_once_without_another_claim() -> None:
    first, second = a_job(), None
    second = a_job(lane=first["lane"])
    database = StubDatabase(first)
    database.next = lambda report: second if report["token"] == first["token"] else None
    async with working(poller(database)):
        began = clock()
        await until(lambda: len(database.reports) == 2)
        assert clock() - began < 0.1
    assert database.reports[1]["token"] == second["token"]


async def test_a_slow_lane_keeps_no_other_waiting() -> None:
    slow = a_job()

    async def perform(tally: Tally, lease: Lease) -> None:
        if tally.job is slow:
            await asyncio.sleep(60)
        await book(tally, lease)

    database = StubDatabase(slow, *(a_job() for _ in range(20)))
    async with working(poller(database, perform)):
        began = clock()
        await until(lambda: len(database.reports) == 20)
        assert clock() - began < 30


async def test_a_bug_in_a_job_becomes_a_report_and_takes_no_other_along() -> None:
    bad = a_job(items=2)

    async def perform(tally: Tally, lease: Lease) -> None:
        if tally.job is bad:
            tally.settle(1, "exported")
            raise ZeroDivisionError("a bug")
        await book(tally, lease)

    database = StubDatabase(bad, a_job())
    async with working(poller(database, perform)):
        await until(lambda: len(database.reports) == 2)
    report = next(r for r in database.reports if r["lane"] == bad["lane"])
    assert outcomes(report) == ["exported", "unsent"]
    assert report["failure"]["error"]["errorClass"] == "transient"
    assert report["failure"]["error"]["message"] == "The worker failed: ZeroDivisionError."


async def test_a_bug_after_a_write_had_begun_leaves_it_in_doubt() -> None:
    async def perform(tally: Tally, _lease: Lease) -> None:
        tally.writing = True
        raise KeyError("a bug")

    database = StubDatabase(a_job())
    async with working(poller(database, perform)):
        await until(lambda: bool(database.reports))
    assert outcomes(database.reports[0]) == ["unknown"]


async def test_an_outage_loses_no_outcome() -> None:
    async def perform(tally: Tally, lease: Lease) -> None:
        database.down = True
        await book(tally, lease)

    database = StubDatabase(a_job())
    async with working(poller(database, perform)):
        await asyncio.sleep(120)
        assert database.reports == []
        database.down = False
        await until(lambda: bool(database.reports), within=10)
    assert outcomes(database.reports[0]) == ["exported"]


async def test_leases_are_renewed_while_jobs_work() -> None:
    job = a_job()

    async def perform(tally: Tally, lease: Lease) -> None:
        await asyncio.sleep(100)
        assert lease.covers(12)
        await book(tally, lease)

    database = StubDatabase(job)
    async with working(poller(database, perform)):
        await until(lambda: bool(database.reports))
    assert [str(token) for token in database.beats[0]] == [job["token"]]
    assert outcomes(database.reports[0]) == ["exported"]


async def test_a_lost_lease_stops_writing_but_not_reporting() -> None:
    job = a_job()

    async def perform(tally: Tally, lease: Lease) -> None:
        await asyncio.sleep(100)
        assert lease.lost
        assert not await lease.allows(1)
        tally.settle(1, "exported")

    database = StubDatabase(job)
    database.lost = {job["token"]}
    made = poller(database, perform)
    async with working(made):
        await until(lambda: bool(database.reports))
    assert outcomes(database.reports[0]) == ["exported"]
    assert made._metrics.losses.values == {(): 1}


async def test_every_job_is_counted_by_kind_and_ending() -> None:
    async def perform(tally: Tally, lease: Lease) -> None:
        if tally.job["kind"] == "find":
            raise ZeroDivisionError
        await book(tally, lease)

    database = StubDatabase(a_job(), a_job("find"))
    made = poller(database, perform)
    async with working(made):
        await until(lambda: len(database.reports) == 2)
    page = made._metrics.render()
    assert 'bilag_jobs_total{ended="done",kind="post"} 1' in page
    assert 'bilag_jobs_total{ended="bug",kind="find"} 1' in page
    assert 'bilag_items_total{outcome="exported"} 1' in page


async def test_a_lane_that_turned_out_to_have_nothing_is_no_job() -> None:
    empty: Any = None
    database = StubDatabase(empty, empty, a_job())
    async with working(poller(database)):
        await until(lambda: len(database.reports) == 1)
