"""What is paused keeps its runs; nothing is lost by waiting."""

from __future__ import annotations

from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused
from tests.sql.sessions import two_sessions

PAUSE: LiteralString = "select bilag.pause_integration(%s, 'xledger', 'stocktaking', %s)"
RESUME: LiteralString = "select bilag.resume_integration(%s, 'xledger')"


def test_a_paused_integration_keeps_its_runs_until_it_is_resumed(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.database.sql(PAUSE, org.id, None)
    org.request()
    assert worker.claim() == []
    worker.tick()
    assert worker.claim() == []
    org.database.sql(RESUME, org.id)
    worker.work()
    assert org.states() == {"C-1": "exported"}


def test_a_pause_with_an_end_ends_by_itself(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    org.database.sql(PAUSE, org.id, "2026-03-02 11:10+00")
    assert worker.claim() == []
    bilag.advance(minutes=9, seconds=59)
    assert worker.claim() == []
    bilag.advance(seconds=1)
    worker.settle(worker.claim_one())
    assert org.states() == {"C-1": "exported"}


def test_a_pause_that_is_over_already_is_refused_and_changes_nothing(org: Organisation) -> None:
    org.database.sql(PAUSE, org.id, None)
    for until in ("2026-03-02 11:00+00", "2026-03-01", "-infinity"):
        with refused("KB001", "is over already"):
            org.database.sql(PAUSE, org.id, until)
    assert org.database.sql("select paused_at is not null, paused_until from bilag.integration_config") == [
        (True, None)
    ]


def test_a_pause_stops_before_the_next_batch_and_what_is_in_flight_is_settled(
    org: Organisation, worker: FakeWorker
) -> None:
    org.approve(300)
    org.request()
    job = worker.claim_one()
    org.database.sql(PAUSE, org.id, None)
    assert worker.settle(job) == []
    assert sorted(set(org.states().values())) == ["exported", "pending"]
    org.database.sql(RESUME, org.id)
    worker.work()
    assert set(org.states().values()) == {"exported"}


def test_a_paused_organisation_holds_up_no_other(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    other = bilag.organisation("Other")
    org.database.sql(PAUSE, org.id, None)
    for each in (org, other):
        each.claim("C-1")
        each.request()
    worker.work()
    assert (org.states(), other.states()) == ({}, {"C-1": "exported"})


def test_pausing_everything_hands_out_nothing_and_lets_what_is_in_flight_settle(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.approve(300)
    org.request()
    job = worker.claim_one()
    bilag.database.sql("select bilag.pause_everything('upgrade')")
    assert worker.settle(job) == []
    assert worker.claim() == []
    bilag.database.sql("select bilag.resume_everything()")
    worker.work()
    assert set(org.states().values()) == {"exported"}


def test_only_service_pauses_everything(bilag: Bilag, org: Organisation) -> None:
    with (
        bilag.database.as_user(org.member()) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("select bilag.pause_everything('mine')")
    with bilag.database.as_user(uuid4(), "service_role") as connection:
        connection.execute("select bilag.pause_everything('upgrade')")


def test_only_finance_of_the_organisation_pauses_it(bilag: Bilag, org: Organisation) -> None:
    for person in (org.member("member"), bilag.organisation("Other").member()):
        for call in (RESUME, "select bilag.pause_integration(%s, 'xledger', 'x')"):
            with bilag.database.as_user(person) as connection, refused("KB003"):
                connection.execute(call.encode(), [org.id])


def test_pausing_and_settling_wait_for_each_other_and_do_not_deadlock(
    database: Database, org: Organisation, worker: FakeWorker
) -> None:
    with two_sessions(database) as (settling, pausing):
        settling.run("select 1 from bilag.export_lanes for update")
        pause = pausing.start(PAUSE, org.id, None)
        assert pausing.is_blocked(pause)
        settling.run(
            "select bilag_internal.pause(array(select id from bilag.integration_config), 'credential_refused', 'x')"
        )
        settling.commit()
        pause.result(20)
        pausing.commit()
    assert database.value("select paused_reason from bilag.integration_config") == "stocktaking"
