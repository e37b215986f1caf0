"""What a lane hands out is its own run's, and a run that is over hands out nothing."""

from __future__ import annotations

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker, failed


def test_a_run_that_was_cancelled_in_the_meantime_ends_and_takes_no_claims(
    org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    run = org.request()
    org.database.sql("update bilag.export_runs set cancel_requested_at = bilag_internal.now()")
    assert worker.claim() == []
    status = org.status(run)
    assert (status["status"], status["error"]) == ("cancelled", None)
    assert org.states() == {}
    org.request()
    worker.work()
    assert org.states() == {"C-1": "exported"}


@pytest.mark.parametrize(("first", "status"), [("exported", "succeeded"), ("accepted", "waiting")])
def test_what_was_overlooked_is_sent_before_the_run_ends(
    bilag: Bilag, org: Organisation, worker: FakeWorker, first: str, status: str
) -> None:
    bilag.database.sql("update bilag.integration_types set vouchers_per_batch = 1")
    org.approve(3)
    run = org.request()
    worker.settle(worker.claim_one(), first, release=True)
    bilag.database.sql("update bilag.export_runs set next_position = 4")
    worker.work()
    assert org.states() == {"C-0001": first, "C-0002": "exported", "C-0003": "exported"}
    assert org.status(run)["status"] == status


def test_a_lane_whose_run_waits_to_try_again_asks_what_stands_and_sends_nothing(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    worker.work()
    org.claim("C-2")
    run = org.request()
    worker.settle(worker.claim_one(), "unsent", failure=failed())
    bilag.database.sql("select bilag.request_reconciliation(%s, 'xledger', '2026-03-01', '2026-03-31')", org.id)
    assert worker.claim_one()["kind"] == "reconcile"
    assert org.status(run)["status"] == "waiting"
    assert org.states()["C-2"] == "pending"


def test_a_run_that_was_cancelled_while_its_lane_was_asking_ends_when_the_worker_died(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    worker.work()
    org.claim("C-2")
    run = org.request()
    worker.settle(worker.claim_one(), "unsent", failure=failed())
    bilag.database.sql("select bilag.request_reconciliation(%s, 'xledger', '2026-03-01', '2026-03-31')", org.id)
    worker.claim()
    assert bilag.database.value("select bilag.cancel_export(%s)", run) == "cancelling"
    bilag.advance(seconds=61)
    assert worker.claim_one()["kind"] == "reconcile"
    assert org.status(run)["status"] == "cancelled"
    assert org.states()["C-2"] == "voided"


def test_lanes_that_are_claimed_together_note_each_how_many_of_its_vouchers_are_in_the_batch(
    bilag: Bilag, worker: FakeWorker
) -> None:
    bilag.database.sql("update bilag.integration_types set vouchers_per_batch = 2")
    for name, count in (("One", 1), ("Three", 3)):
        org = bilag.organisation(name)
        org.approve(count)
        org.request()
    jobs = worker.claim()
    noted = bilag.database.sql("select org_id::text, sending from bilag.export_lanes where in_flight")
    assert dict(noted) == {job["orgId"]: len(job["items"]) for job in jobs}
    assert sorted(len(job["items"]) for job in jobs) == [1, 2]
