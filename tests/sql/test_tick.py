"""The heart: rescues, sends again, notices another server, and changes nothing when it beats twice."""

from __future__ import annotations

from datetime import timedelta

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker, failed
from tests.sql.sessions import two_sessions


def test_a_tick_of_an_idle_installation_does_nothing_but_beat(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    for _ in range(3):
        worker.tick()
    assert bilag.database.value("select ticked_at from bilag.installation") == NOON
    assert bilag.database.sql("select 1 from pgmq.q_bilag_exports union all select 1 from bilag.alerts") == []


def test_ticking_twice_sends_one_message(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    bilag.database.sql("select pgmq.purge_queue('bilag_exports')")
    assert [worker.tick()["woken"], worker.tick()["woken"]] == [1, 0]
    assert bilag.database.value("select count(*) from pgmq.q_bilag_exports") == 1


def test_two_ticks_at_once_are_one(database: Database, bilag: Bilag) -> None:
    with two_sessions(database) as (first, second):
        first.run("select bilag_internal.tick()")
        other = second.start("select bilag_internal.tick()")
        assert not second.is_blocked(other)
        assert other.result(20) == [({"skipped": True},)]


def test_a_tick_waits_for_no_lane_that_somebody_holds(
    database: Database, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    worker.claim()
    database.advance(timedelta(seconds=61))
    with two_sessions(database) as (holding, ticking):
        holding.run("select 1 from bilag.export_lanes for update")
        tick = ticking.start("select bilag_internal.tick()")
        assert not ticking.is_blocked(tick)
        ticking.commit()
    assert org.states() == {"C-1": "sending"}
    worker.tick()
    assert org.states() == {"C-1": "in_doubt"}


def test_what_waited_in_the_table_gets_its_message_when_it_is_due(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "unsent", failure=failed())
    assert worker.tick()["woken"] == 0
    bilag.advance(seconds=15)
    assert worker.tick()["woken"] == 1
