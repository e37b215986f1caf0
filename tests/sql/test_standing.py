"""Asking what still stands, a batch at a time: what is asked about, and what the vendor cannot say."""

from __future__ import annotations

from datetime import date

import pytest

from tests.fix_bilag import Bilag, Line, Organisation
from tests.sql.fake_worker import FakeWorker, failed
from tests.sql.reconciling import book, counted, missing, request, status, vanished
from tests.sql.vendor_with_memory import DAY, RELEASE, REVERSE, Vendor, export


@pytest.fixture
def vendor(org: Organisation, worker: FakeWorker) -> Vendor:
    """Batches are of two vouchers."""
    org.database.sql("update bilag.integration_types set vouchers_per_batch = 2")
    return Vendor(worker)


def test_what_cannot_be_told_is_asked_five_times_and_then_said_to_be_unknown(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor
) -> None:
    book(org, vendor)
    made = request(org)
    worker.work(missing("C-0003", outcome="unknown"))
    assert status(org, made)["waitingFor"]["reasonCode"] == "in_doubt"
    for _ in range(3):
        bilag.advance(hours=1)
        (job,) = worker.work(missing("C-0003", outcome="unknown"))
        assert [item["voucher"]["claimNumber"] for item in job["items"]] == ["C-0003"]
    assert status(org, made)["status"] == "waiting"
    bilag.advance(hours=1)
    worker.work(missing("C-0003", outcome="unknown"))
    assert status(org, made)["status"] == "partially_succeeded"
    assert counted(org, made)["unknown"] == 1
    assert vanished(org) == []


def test_what_could_be_told_at_last_stands(bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor) -> None:
    book(org, vendor)
    made = request(org)
    worker.work(missing("C-0003", outcome="unknown"))
    bilag.advance(hours=1)
    worker.work(missing())
    assert status(org, made)["status"] == "succeeded"
    assert counted(org, made) == {"total": 5, "asked": 5, "standing": 5}


def test_while_the_system_is_down_it_waits_and_then_goes_on_where_it_was(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor
) -> None:
    book(org, vendor)
    made = request(org)
    (second,) = worker.settle(worker.claim_one())
    asked = [item["id"] for item in second["items"]]
    worker.settle(second, "unknown", failure=failed())
    told = status(org, made)
    assert (told["status"], told["waitingFor"]["reasonCode"]) == ("waiting", "retry_later")
    assert told["error"]["message"] == "It failed."
    assert worker.claim() == []
    bilag.advance(seconds=5)
    again = worker.claim_one()
    assert [item["id"] for item in again["items"]] == asked
    worker.settle(again, "unknown", failure=failed(retry_after=3600))
    bilag.advance(minutes=59)
    assert worker.claim() == []
    bilag.advance(minutes=1)
    worker.work(missing())
    assert (status(org, made)["status"], status(org, made)["error"]) == ("succeeded", None)
    assert counted(org, made)["standing"] == 5


def test_a_question_that_the_vendor_refuses_for_good_ends_it(
    org: Organisation, worker: FakeWorker, vendor: Vendor
) -> None:
    book(org, vendor)
    made = request(org)
    worker.settle(worker.claim_one(), "unknown", failure=failed("permanent", message="No such field."))
    assert (status(org, made)["status"], status(org, made)["error"]["message"]) == ("failed", "No such field.")
    assert worker.claim() == []


def test_a_refused_credential_pauses_the_integration_and_the_reconciliation_goes_on_with_a_new_one(
    org: Organisation, worker: FakeWorker, vendor: Vendor
) -> None:
    book(org, vendor)
    made = request(org)
    worker.settle(worker.claim_one(), "unknown", failure=failed("permanent", "credential_refused"))
    assert status(org, made)["waitingFor"]["reasonCode"] == "credential_refused"
    org.database.sql("select bilag.set_integration_credential(%s, 'xledger', 'new')", org.id)
    org.database.sql("update bilag.reconciliations set due_at = bilag_internal.now()")
    org.database.sql("select bilag_internal.wake_lanes(array(select integration_id from bilag.export_lanes))")
    worker.work(missing())
    assert status(org, made)["status"] == "succeeded"


def test_an_export_goes_before_the_next_batch(org: Organisation, worker: FakeWorker, vendor: Vendor) -> None:
    book(org, vendor)
    request(org)
    first = worker.claim_one()
    org.claim("NEW")
    org.request()
    (job,) = worker.settle(first)
    assert (first["kind"], job["kind"]) == ("reconcile", "post")
    (job,) = worker.settle(job)
    assert job["kind"] == "reconcile"


def test_a_batch_whose_worker_died_is_asked_about_again_and_its_late_answer_is_not_taken(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor
) -> None:
    book(org, vendor)
    made = request(org)
    lost = worker.claim_one()
    bilag.advance(minutes=2)
    worker.tick()
    again = worker.claim_one()
    assert [item["id"] for item in again["items"]] == [item["id"] for item in lost["items"]]
    worker.settle(lost, "absent")
    assert counted(org, made) == {"total": 5}
    worker.settle(again, release=True)
    worker.work(missing())
    assert counted(org, made) == {"total": 5, "asked": 5, "standing": 5}
    assert vanished(org) == []


def test_a_batch_that_kills_every_worker_is_put_off_for_a_day(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor
) -> None:
    book(org, vendor)
    made = request(org)
    for _ in range(11):
        worker.claim()
        bilag.advance(minutes=2)
        worker.tick()
    assert worker.claim() == []
    assert status(org, made)["finishedAt"] is None
    org.claim("NEW")
    export(org, vendor)
    assert org.states()["NEW"] == "exported"


def test_what_a_report_forgets_is_unknown(org: Organisation, worker: FakeWorker, vendor: Vendor) -> None:
    book(org, vendor, 2)
    made = request(org)
    job = worker.claim_one()
    worker.settle({**job, "items": job["items"][:1]})
    assert counted(org, made) == {"total": 2, "asked": 2, "standing": 1, "unknown": 1}


def test_reversed_vouchers_and_their_mirrors_are_asked_about_and_deleted_ones_are_not(
    org: Organisation, worker: FakeWorker, vendor: Vendor
) -> None:
    claim = vendor.book(org)
    org.database.sql(REVERSE, claim, DAY)
    vendor.work()
    deleted = vendor.book(org, "C-2")
    vendor.delete(str(org.database.value("select reference from bilag.claim_exports where claim_id = %s", deleted)))
    org.database.sql(RELEASE, deleted)
    vendor.work()
    made = request(org)
    vendor.work()
    assert counted(org, made) == {"total": 2, "asked": 2, "standing": 2}


def test_only_the_period_by_posting_date_is_asked_about_its_edges_included(
    org: Organisation, worker: FakeWorker, vendor: Vendor
) -> None:
    org.configure(posting_date="expense")
    for number, day in enumerate((date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 31), date(2026, 4, 1))):
        org.claim(f"C-{number}", Line("Taxi", "10", day))
    export(org, vendor)
    made = request(org)
    asked = [item["voucher"]["postingDate"] for job in worker.work(missing()) for item in job["items"]]
    assert asked == ["2026-03-01", "2026-03-31"]
    assert counted(org, made)["total"] == 2


def test_what_is_in_another_ledger_is_counted_and_not_asked_about(
    org: Organisation, worker: FakeWorker, vendor: Vendor
) -> None:
    book(org, vendor, 2)
    org.configure(owner_code="9")
    made = request(org)
    worker.work(missing())
    assert counted(org, made) == {"elsewhere": 2}
    assert status(org, made)["status"] == "succeeded"
