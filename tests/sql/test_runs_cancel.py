"""Cancelling and retrying runs, in each state that a run can be in."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.fix_bilag import Bilag, Line, Organisation
from tests.sql.fake_worker import FakeWorker, failed
from tests.sql.refusals import refused


def cancel(org: Organisation, run: UUID) -> str:
    return str(org.database.value("select bilag.cancel_export(%s, 'changed my mind')", run))


def retry(org: Organisation, run: UUID) -> UUID:
    again = org.database.value("select bilag.retry_export(%s)", run)
    assert isinstance(again, UUID)
    return again


def test_a_queued_run_is_cancelled_at_once(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    run = org.request()
    assert cancel(org, run) == "cancelled"
    assert org.status(run)["status"] == "cancelled"
    assert worker.claim() == []
    assert org.states() == {}


def test_a_running_run_is_cancelled_after_the_batch_in_flight(org: Organisation, worker: FakeWorker) -> None:
    org.approve(300)
    run = org.request()
    job = worker.claim_one()
    assert len(job["items"]) == 250
    assert cancel(org, run) == "cancelling"
    assert org.status(run)["status"] == "running"
    assert worker.settle(job) == []
    status = org.status(run)
    assert status["status"] == "cancelled"
    assert (status["claims"]["exported"], status["claims"]["pending"]) == (250, 0)
    org.request()
    worker.work()
    assert set(org.states().values()) == {"exported"}


def test_a_waiting_run_is_cancelled_at_once_and_releases_its_claims(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    run = org.request()
    worker.settle(worker.claim_one(), "unsent", failure=failed())
    assert org.status(run)["status"] == "waiting"
    assert cancel(org, run) == "cancelled"
    assert org.states() == {"C-1": "voided"}
    org.request()
    worker.work()
    assert org.states() == {"C-1": "exported"}


def test_a_run_whose_worker_died_is_cancelled_at_once_and_what_was_sent_is_looked_up(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    run = org.request()
    worker.claim()
    bilag.advance(seconds=61)
    assert cancel(org, run) == "cancelled"
    assert org.states() == {"C-1": "in_doubt"}
    job = worker.claim_one()
    assert job["kind"] == "find"
    worker.settle(job, "exported")
    assert org.states() == {"C-1": "exported"}


def test_cancelling_twice_or_too_late_tells_how_the_run_is(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    run = org.request()
    assert [cancel(org, run), cancel(org, run)] == ["cancelled", "cancelled"]
    done = org.request()
    worker.work()
    assert cancel(org, done) == "succeeded"
    assert org.status(done)["status"] == "succeeded"


def test_a_cancelled_run_leaves_the_lane_to_the_next(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.approve(300)
    first = org.request()
    job = worker.claim_one()
    bilag.advance(seconds=1)
    second = org.request()
    cancel(org, first)
    (following,) = worker.settle(job) or worker.claim()
    assert following["runId"] == str(second)
    assert len(following["items"]) == 50


def test_retrying_a_waiting_run_makes_it_due_now(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    run = org.request()
    worker.settle(worker.claim_one(), "unsent", failure=failed())
    assert worker.claim() == []
    assert retry(org, run) == run
    worker.settle(worker.claim_one())
    assert org.status(run)["status"] == "succeeded"


def test_retrying_a_failed_run_is_a_new_run_for_what_is_not_booked(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.claim("C-2", Line("Sauna", "1"))
    run = org.request()
    worker.settle(worker.claim_one(), "rejected")
    assert org.status(run)["status"] == "failed"
    org.map("Sauna", "7199")
    again = retry(org, run)
    status = org.status(again)
    assert (status["trigger"], status["retryOf"], status["status"]) == ("retry", str(run), "queued")
    assert retry(org, run) == again, "a second click"
    worker.work()
    assert org.states() == {"C-1": "exported", "C-2": "exported"}


@pytest.mark.parametrize("outcome", ["exported", None])
def test_there_is_nothing_to_retry_in_a_queued_or_succeeded_run(
    org: Organisation, worker: FakeWorker, outcome: str | None
) -> None:
    org.claim("C-1")
    run = org.request()
    if outcome:
        worker.settle(worker.claim_one(), outcome)
    with refused("KB004", "succeeded" if outcome else "queued"):
        retry(org, run)


def test_a_cancelled_run_may_be_retried(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    run = org.request()
    cancel(org, run)
    retry(org, run)
    worker.work()
    assert org.states() == {"C-1": "exported"}


def test_cancelling_is_audited_with_its_note(org: Organisation) -> None:
    cancel(org, org.request())
    rows = org.database.sql("select action, note from bilag.bufdir_export_audit_log order by sequence")
    assert rows[1:] == [("run.cancel_requested", "changed my mind"), ("run.cancelled", "changed my mind")]


def test_cancelling_a_queued_run_leaves_the_running_one_alone(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    job = worker.claim_one()
    bilag.advance(seconds=1)
    queued = org.request()
    assert cancel(org, queued) == "cancelled"
    assert org.states() == {"C-1": "sending"}
    worker.settle(job)
    assert org.states() == {"C-1": "exported"}


def test_a_run_that_is_cancelled_while_its_integration_is_paused_ends_with_its_batch(
    org: Organisation, worker: FakeWorker
) -> None:
    org.approve(300)
    run = org.request()
    job = worker.claim_one()
    org.database.sql("select bilag.pause_integration(%s, 'xledger', 'stocktaking')", org.id)
    assert cancel(org, run) == "cancelling"
    worker.settle(job)
    assert org.status(run)["status"] == "cancelled"
    assert org.database.value("select count(*) from bilag.export_items where state = 'pending'") == 0


def test_a_run_that_was_being_cancelled_when_its_worker_died_is_ended_by_the_tick(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    run = org.request()
    worker.claim()
    cancel(org, run)
    bilag.advance(seconds=61)
    worker.tick()
    assert org.status(run)["status"] == "cancelled"
    assert org.states() == {"C-1": "in_doubt"}
