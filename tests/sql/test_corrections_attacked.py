"""How a reversal could double or lose a voucher, each tried."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.correcting import alerts, items, named, reversal_is_in_hand
from tests.sql.fake_worker import FakeWorker
from tests.sql.vendor_with_memory import DAY, RELEASE, REVERSE, Vendor, audited, export, reference, shown


@pytest.fixture
def vendor(worker: FakeWorker) -> Vendor:
    return Vendor(worker)


@pytest.fixture
def claim(org: Organisation, vendor: Vendor) -> UUID:
    return vendor.book(org)


def test_an_original_that_turns_out_absent_is_not_reversed(org: Organisation, vendor: Vendor, claim: UUID) -> None:
    vendor.delete(reference(org))
    run = org.database.value(REVERSE, claim, DAY)
    vendor.work()
    assert org.status(run)["status"] == "failed"
    assert items(org) == [(1, False, "exported", "original_absent"), (1, True, "rejected", "original_absent")]
    assert shown(org) == ("booked; its reversal was rejected", "original_absent")
    assert sum(vendor.posts.values()) == 1
    assert alerts(org) == ["run_failed"]
    assert audited(org)[-1] == "claim.reversal_refused"
    org.database.sql(RELEASE, claim)
    vendor.work()
    export(org, vendor)
    assert list(vendor.holds) == [named(org, 2)]


def test_a_reversal_whose_worker_dies_after_its_mark_is_booked_once(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    post = reversal_is_in_hand(org, worker, claim)
    vendor.answer(post, post["items"][0])
    bilag.advance(minutes=2)
    worker.tick()
    assert shown(org) == ("booked; its reversal is under way", "interrupted")
    vendor.work()
    assert shown(org) == ("reversed by voucher 2", None)
    assert vendor.posts[named(org, 1, reversal=True)] == 1


def test_a_reversal_that_never_arrived_is_sent_again_under_the_same_reference(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    worker.settle(reversal_is_in_hand(org, worker, claim), "unknown", release=True)
    bilag.advance(minutes=30)
    vendor.work()
    assert shown(org) == ("reversed by voucher 2", None)
    assert vendor.posts == {named(org, 1): 1, named(org, 1, reversal=True): 1}


def test_a_reversal_that_the_vendor_rejects_leaves_the_voucher_booked_and_may_be_asked_for_again(
    org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    worker.settle(reversal_is_in_hand(org, worker, claim), {"outcome": "rejected", "message": "No such account."})
    assert shown(org) == ("booked; its reversal was rejected", "refused_by_vendor")
    run = org.database.value(REVERSE, claim, DAY)
    vendor.work()
    assert org.status(run)["status"] == "succeeded"
    assert vendor.posts[named(org, 1, reversal=True)] == 1


def test_a_reversal_run_that_failed_is_retried_as_a_reversal_and_takes_no_claims(
    org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    worker.settle(reversal_is_in_hand(org, worker, claim), "rejected")
    org.claim("C-2")
    failed = org.database.value("select id from bilag.export_runs where trigger = 'reversal'")
    again = org.database.value("select bilag.retry_export(%s)", failed)
    vendor.work()
    status = org.status(again)
    assert (status["trigger"], status["claims"]["total"]) == ("reversal", 1)
    assert org.states()["C-1"] == "exported"
    assert "C-2" not in org.states()


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_reversal_that_is_cancelled_before_it_is_sent_sends_nothing(
    org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID, steps: int
) -> None:
    run = org.database.value(REVERSE, claim, DAY)
    for outcome in ("exported", "absent")[:steps]:
        worker.settle(worker.claim_one(), outcome, release=True)
    org.database.sql("select bilag.cancel_export(%s)", run)
    vendor.work()
    assert sum(vendor.posts.values()) == 1
    assert org.status(run)["status"] == "cancelled"
    assert shown(org)[0] == "booked"
    org.database.sql(REVERSE, claim, DAY)
    vendor.work()
    assert shown(org)[0].startswith("reversed by voucher")
    assert vendor.posts[named(org, 1, reversal=True)] == 1


def test_a_reversal_outlasts_hours_in_which_nothing_can_be_looked_up(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    run = org.database.value(REVERSE, claim, DAY)
    for _ in range(12):
        for job in worker.claim():
            worker.settle(job, "unknown", release=True)
        bilag.advance(hours=1)
        worker.tick()
    assert org.status(run)["status"] == "waiting"
    bilag.advance(days=1)
    (find,) = worker.settle(worker.claim_one())
    worker.settle(find, "unknown", release=True)
    bilag.advance(hours=2)
    worker.tick()
    vendor.work()
    assert org.status(run)["status"] == "succeeded"
    assert vendor.posts[named(org, 1, reversal=True)] == 1
