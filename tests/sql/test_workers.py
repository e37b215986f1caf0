"""A worker says hello, beats while it works, and asks what is left when it is to end."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker, failed
from tests.sql.refusals import refused


def test_hello_tells_what_the_database_is(database: Database) -> None:
    worker = FakeWorker(database)
    assert worker.hello() == {
        "environment": "development",
        "contract": 1,
        "vault": True,
        "tickAge": None,
        "openAlerts": {"critical": 0, "warning": 0, "info": 0},
    }
    database.set_clock(NOON)
    worker.tick()
    database.advance(timedelta(seconds=90))
    assert worker.hello()["tickAge"] == 90


def test_a_worker_of_another_contract_is_refused_naming_both(database: Database) -> None:
    with refused("KB010", "contract 2, the database keeps contract 1"):
        FakeWorker(database).hello(contract=2)


def test_a_worker_of_another_environment_is_refused_naming_both(database: Database) -> None:
    database.sql("update bilag.installation set environment = 'production'")
    with refused("KB011", "environment 'staging', the database is 'production'"):
        FakeWorker(database).hello(environment="staging")


def test_beats_prolong_a_lease_until_the_delivery_has_lasted_too_long(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    token = worker.claim_one()["token"]
    held = []
    for _ in range(8):
        bilag.advance(seconds=20)
        held.append([str(each) for each in worker.beat(token)] == [token])
    # 150 s from the start, and not one second more.
    assert held == [True] * 7 + [False]


def test_a_beat_too_late_does_not_revive_a_lease(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    token = worker.claim_one()["token"]
    bilag.advance(seconds=60)
    assert worker.beat(token) == []


def test_a_beat_of_a_foreign_token_prolongs_nothing(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    worker.claim()
    before = org.database.value("select lease_until from bilag.export_lanes")
    assert worker.beat(str(uuid4())) == []
    assert org.database.value("select lease_until from bilag.export_lanes") == before


def test_a_beat_never_shortens_a_lease(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    token = worker.claim_one()["token"]
    worker.beat(token, lease=5)
    assert org.database.value("select lease_until from bilag.export_lanes") == NOON + timedelta(seconds=60)


def test_a_beat_shows_the_worker_alive(bilag: Bilag, worker: FakeWorker) -> None:
    bilag.advance(minutes=5)
    worker.beat()
    assert bilag.database.value("select last_seen_at from bilag.worker_heartbeats") == NOON + timedelta(minutes=5)


def test_progress_gives_a_delivery_its_time_again(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.approve(600)
    org.request()
    job = worker.claim_one()
    bilag.advance(seconds=50)
    (job,) = worker.settle(job)
    for _ in range(2):
        bilag.advance(seconds=55)
        assert worker.beat(job["token"])
    assert org.database.value("select lease_until from bilag.export_lanes") == NOON + timedelta(seconds=200)


def test_a_lease_that_a_tick_has_ended_is_in_nobodys_flight(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    worker.claim_one()
    bilag.advance(minutes=5)
    worker.tick()
    (said,) = worker.call("select bilag_internal.work_left()")
    assert (said["due"], said["inFlight"]) == (1, 0)


def test_work_left_counts_what_a_draining_worker_waits_for(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    def left() -> tuple[int, int, str | None]:
        (said,) = worker.call("select bilag_internal.work_left()")
        return said["due"], said["inFlight"], said["nextDueAt"]

    assert left() == (0, 0, None)
    org.claim("C-1")
    org.request()
    assert left() == (1, 0, None)
    job = worker.claim_one()
    assert left()[:2] == (0, 1)
    worker.settle(job, "unsent", failure=failed())
    assert left() == (0, 0, "2026-03-02T11:00:15+00:00")
