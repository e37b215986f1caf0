"""A worker claims; a lease that is lost stops sending, and what it sent is looked up."""

from __future__ import annotations

import pytest

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused
from tests.sql.sessions import two_sessions


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
        "allowedHosts", "credentialVersion", "kind", "correlationId", "absenceAfterSeconds", "items",
    }  # fmt: skip
    assert (job["runId"], job["orgId"], job["kind"]) == (str(run), str(org.id), "post")
    assert (job["leaseSeconds"], job["deliverySeconds"], job["absenceAfterSeconds"]) == (60, 150, 60)
    assert (job["settings"], job["credentialVersion"]) == ({"settlement_account": "2910"}, 1)
    (item,) = job["items"]
    assert set(item) == {
        "id",
        "attempt",
        "sentAt",
        "answered",
        "externalId",
        "vehicle",
        "revocable",
        "recovered",
        "lastLook",
        "voucher",
    }
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
