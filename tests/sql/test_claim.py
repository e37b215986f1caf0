"""A worker says hello, claims and beats; a lease that is lost stops sending, and what it sent is looked up."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused
from tests.sql.sessions import two_sessions


def test_hello_tells_what_the_database_is(database: Database) -> None:
    worker = FakeWorker(database)
    assert worker.hello() == {"environment": "development", "contract": 1, "vault": True, "tickAge": None}
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


def test_a_worker_that_did_not_say_hello_gets_nothing(database: Database) -> None:
    with refused("KB012"):
        FakeWorker(database).claim()


def test_after_a_change_of_environment_or_contract_a_worker_settles_but_does_not_claim(
    org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    job = worker.claim_one()
    org.database.sql("update bilag.installation set environment = 'staging'")
    with refused("KB011"):
        worker.claim()
    org.database.sql("update bilag.installation set environment = 'development'")
    org.database.sql("update bilag.worker_heartbeats set contract = 0")
    with refused("KB010"):
        worker.claim()
    worker.settle(job)
    assert org.states() == {"C-1": "exported"}


def test_a_job_has_what_a_worker_needs_and_no_secret(org: Organisation, worker: FakeWorker) -> None:
    org.database.sql("select bilag.set_integration_credential(%s, 'xledger', 'hush-hush')", org.id)
    org.claim("C-1")
    run = org.request()
    job = worker.claim_one()
    assert "hush-hush" not in str(job)
    assert set(job) == {
        "lane", "token", "leaseSeconds", "deliverySeconds", "runId", "orgId", "integrationType", "settings",
        "credentialVersion", "kind", "correlationId", "vehicle", "absenceAfterSeconds", "items",
    }  # fmt: skip
    assert (job["runId"], job["orgId"], job["kind"]) == (str(run), str(org.id), "post")
    assert (job["leaseSeconds"], job["deliverySeconds"], job["absenceAfterSeconds"]) == (60, 150, 60)
    assert (job["settings"], job["credentialVersion"]) == ({"settlement_account": "2910"}, 1)
    (item,) = job["items"]
    assert set(item) == {"id", "attempt", "sentAt", "answered", "externalId", "voucher"}
    assert (item["attempt"], item["answered"]) == (1, False)


def test_what_is_about_to_be_sent_is_marked_before_and_nothing_more(org: Organisation, worker: FakeWorker) -> None:
    org.approve(300)
    org.request()
    job = worker.claim_one()
    marked = org.database.sql(
        "select count(*), bool_and(sent_at = %s and attempt = 1 and reference <> '' and vehicle <> ''"
        " and correlation_id = %s) from bilag.export_items where state = 'sending'",
        NOON,
        job["correlationId"],
    )
    assert marked == [(250, True)]
    assert org.database.value("select count(*) from bilag.export_items where state = 'pending' and attempt = 0") == 50


def test_the_mark_is_committed_synchronously_whatever_the_role_says(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    with worker.connection.transaction():
        worker.connection.execute("set local synchronous_commit = off")
        worker.connection.execute("select bilag_internal.claim_exports(%s, 1, 60, 150)", [worker.id])
        assert worker.connection.execute("show synchronous_commit").fetchone() == ("on",)


def test_a_claim_takes_no_more_lanes_than_it_has_slots(bilag: Bilag, worker: FakeWorker) -> None:
    for n in range(5):
        org = bilag.organisation(str(n))
        org.claim("C-1")
        org.request()
    assert worker.claim(0) == []
    taken = [len(worker.claim(2)), len(worker.claim(2)), len(worker.claim(2)), len(worker.claim(2))]
    assert taken == [2, 2, 1, 0]


def test_two_workers_never_hold_one_lane(database: Database, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    with two_sessions(database) as (first, second):
        got = first.run("select bilag_internal.claim_exports(%s, 5, 60, 150)", worker.id)
        waiting = second.start("select bilag_internal.claim_exports(%s, 5, 60, 150)", worker.id)
        assert not second.is_blocked(waiting), "a claim skips what somebody holds"
        first.commit()
        assert (len(got), waiting.result(20)) == (1, [])


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


@pytest.mark.parametrize("healer", ["tick", "claim"])
def test_what_a_dead_worker_left_is_in_doubt_and_looked_up_first(
    bilag: Bilag, org: Organisation, worker: FakeWorker, healer: str
) -> None:
    org.approve(300)
    org.request()
    worker.claim()
    bilag.advance(seconds=60)
    if healer == "tick":
        worker.tick()
        reasons = org.database.sql("select distinct reason_code from bilag.export_items where state = 'in_doubt'")
        assert reasons == [("interrupted",)]
    other = bilag.worker()
    job = other.claim_one()
    assert (job["kind"], len(job["items"])) == ("find", 250)
    assert sorted(set(org.states().values())) == ["in_doubt", "pending"]


def test_nobody_claims_a_lane_whose_lease_is_alive(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    worker.claim()
    bilag.advance(seconds=59)
    worker.tick()
    assert bilag.worker().claim() == []
    assert org.states() == {"C-1": "sending"}
