"""What a run does about a failure that was no one voucher's: wait and try again, wait for a credential, or fail."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker, Job, failed


def started(org: Organisation, worker: FakeWorker) -> tuple[UUID, Job]:
    org.claim("C-1")
    run = org.request()
    return run, worker.claim_one()


def wait_of(org: Organisation) -> timedelta:
    wait = org.database.value("select due_at - bilag_internal.now() from bilag.export_runs where finished_at is null")
    assert isinstance(wait, timedelta)
    return wait


def open_circuits(org: Organisation) -> None:
    """Keep the circuit out of a test that is about the run's own waits."""
    org.database.sql("update bilag.export_lanes set failures = 0, circuit_open_until = null")


def test_a_transient_failure_waits_ever_longer_and_then_the_run_fails(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    run, job = started(org, worker)
    schedule = [wait for (wait,) in org.database.sql("select wait from bilag.retry_schedule order by failure")]
    for wait in schedule:
        assert worker.settle(job, "unsent", failure=failed(message="Bad gateway")) == []
        open_circuits(org)
        assert wait_of(org) == wait
        bilag.database.sql("select bilag_internal.advance_clock(%s)", wait - timedelta(seconds=1))
        worker.tick()
        assert worker.claim() == []
        bilag.advance(seconds=1)
        worker.tick()
        job = worker.claim_one()
    worker.settle(job, "unsent", failure=failed(message="Bad gateway"))
    status = org.status(run)
    assert (status["status"], status["error"]["message"], status["error"]["isRetryable"]) == (
        "failed",
        "Bad gateway",
        False,
    )
    assert org.states() == {"C-1": "voided"}
    assert sum(schedule, timedelta()) > timedelta(hours=24)
    assert schedule == sorted(schedule)


def test_a_waiting_run_says_why_since_when_and_until_when(org: Organisation, worker: FakeWorker) -> None:
    run, job = started(org, worker)
    worker.settle(job, "unsent", failure=failed("timeout", message="No answer"))
    status = org.status(run)
    assert (status["status"], status["nextAttemptAt"]) == ("waiting", "2026-03-02T11:00:15+00:00")
    assert status["waitingFor"] == {
        "reasonCode": "retry_later", "since": "2026-03-02T11:00:00+00:00", "until": "2026-03-02T11:00:15+00:00",
    }  # fmt: skip
    assert set(status["error"]) == {
        "correlationId", "errorClass", "httpStatus", "adapterName", "attempt", "message", "isRetryable",
    }  # fmt: skip
    assert status["error"]["errorClass"] == "timeout"


def test_a_batch_that_goes_through_forgets_earlier_failures(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.approve(600)
    run = org.request()
    worker.settle(worker.claim_one(), "unsent", failure=failed())
    bilag.advance(seconds=15)
    (job,) = worker.settle(worker.claim_one(), "exported")
    assert org.status(run)["error"] is None
    worker.settle(job, "unsent", failure=failed())
    assert wait_of(org) == timedelta(seconds=15)


def test_a_look_that_goes_through_does_not_forget_that_writes_fail(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    _run, job = started(org, worker)
    waits = []
    for _ in range(4):
        worker.settle(job, "unknown", failure=failed("timeout"))
        waits.append(wait_of(org))
        bilag.advance(seconds=61)
        look = worker.claim_one()
        assert look["kind"] == "find"
        worker.settle(look, "absent", release=True)
        bilag.advance(hours=1)
        job = worker.claim_one()
        assert job["kind"] == "post"
    assert waits == sorted(set(waits)), "ever longer"


@pytest.mark.parametrize(
    ("asked", "wait"), [(90, timedelta(seconds=90)), (None, timedelta(minutes=1)), (10**6, timedelta(hours=6))]
)
def test_a_rate_limit_waits_as_asked_and_at_most_six_hours_and_is_no_failure(
    org: Organisation, worker: FakeWorker, asked: float | None, wait: timedelta
) -> None:
    run, job = started(org, worker)
    worker.settle(job, "unsent", failure=failed("transient", "rate_limited", asked))
    assert wait_of(org) == wait
    assert org.status(run)["waitingFor"]["reasonCode"] == "rate_limited"
    assert org.database.sql("select r.failures, l.failures from bilag.export_runs r, bilag.export_lanes l") == [(0, 0)]


def test_a_server_may_ask_for_a_longer_wait_than_the_schedules(org: Organisation, worker: FakeWorker) -> None:
    _run, job = started(org, worker)
    worker.settle(job, "unsent", failure=failed(retry_after=300))
    assert wait_of(org) == timedelta(seconds=300)


def test_a_permanent_failure_ends_the_run_now_and_releases_its_claims(org: Organisation, worker: FakeWorker) -> None:
    org.approve(300)
    run = org.request()
    worker.settle(worker.claim_one(), "unsent", failure=failed("permanent", message="No such legal entity"))
    status = org.status(run)
    assert (status["status"], status["error"]["message"]) == ("failed", "No such legal entity")
    assert (status["claims"]["pending"], status["claims"]["total"]) == (0, 300)
    assert org.preview()["wouldBook"] == 300
    assert org.database.sql("select kind, message from bilag.open_alerts") == [("run_failed", "No such legal entity")]


def test_a_permanent_failure_after_some_batches_is_a_partial_success(org: Organisation, worker: FakeWorker) -> None:
    org.approve(300)
    run = org.request()
    (job,) = worker.settle(worker.claim_one(), "exported")
    worker.settle(job, "unsent", failure=failed("permanent"))
    status = org.status(run)
    assert (status["status"], status["claims"]["exported"]) == ("partially_succeeded", 250)
    assert status["error"]["errorClass"] == "permanent"


def test_a_later_success_resolves_the_alert_of_a_failed_run(org: Organisation, worker: FakeWorker) -> None:
    _run, job = started(org, worker)
    worker.settle(job, "unsent", failure=failed("permanent"))
    org.request()
    worker.work()
    assert org.database.sql("select kind from bilag.open_alerts") == []


@pytest.mark.parametrize("reason", ["credential_missing", "credential_expired", "credential_refused"])
def test_a_bad_credential_pauses_until_a_new_one_is_set(
    bilag: Bilag, org: Organisation, worker: FakeWorker, reason: str
) -> None:
    run, job = started(org, worker)
    worker.settle(job, "unsent", failure=failed("permanent", reason))
    assert org.status(run)["waitingFor"]["reasonCode"] == reason
    assert org.database.sql("select kind from bilag.open_alerts") == [("credential",)]
    bilag.advance(days=30)
    worker.hello()
    worker.tick()
    assert worker.claim() == []
    org.database.sql("select bilag.set_integration_credential(%s, 'xledger', 'new one')", org.id)
    assert org.database.sql("select kind from bilag.open_alerts") == []
    worker.settle(worker.claim_one(), "exported")
    assert org.status(run)["status"] == "succeeded"


def test_a_credential_that_was_replaced_while_the_job_ran_is_tried(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    _run, job = started(org, worker)
    org.database.sql("select bilag.set_integration_credential(%s, 'xledger', 'new one')", org.id)
    worker.settle(job, "unsent", failure=failed("permanent", "credential_refused"))
    bilag.advance(minutes=1)
    assert worker.claim_one()["credentialVersion"] == 1


def test_vault_that_does_not_answer_is_tried_again(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    run, job = started(org, worker)
    worker.settle(job, "unsent", failure=failed("transient", "credential_unreadable"))
    assert org.database.value("select paused_at from bilag.integration_config") is None
    bilag.advance(minutes=1)
    worker.settle(worker.claim_one())
    assert org.status(run)["status"] == "succeeded"


def test_five_failures_in_a_row_open_the_circuit_and_one_batch_probes_it(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    _run, job = started(org, worker)
    for _ in range(4):
        worker.settle(job, "unsent", failure=failed())
        bilag.advance(hours=1)
        job = worker.claim_one()
    assert org.database.sql("select kind from bilag.open_alerts") == []
    worker.settle(job, "unknown", failure=failed())
    assert org.database.sql("select kind from bilag.open_alerts") == [("circuit_open",)]
    bilag.advance(seconds=59)
    assert worker.claim() == [], "a look is due, but the circuit is open"
    bilag.advance(seconds=1)
    worker.settle(worker.claim_one(), "exported")
    assert org.states() == {"C-1": "exported"}
    assert org.database.sql("select kind from bilag.open_alerts") == []
    assert org.database.sql("select failures, circuit_open_until from bilag.export_lanes") == [(0, None)]


def test_a_circuit_stays_open_longer_each_time_and_at_most_half_an_hour(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    _run, job = started(org, worker)
    opened: list[Any] = []
    for _ in range(11):
        worker.settle(job, "unsent", failure=failed())
        opened += org.database.sql("select circuit_open_until - bilag_internal.now() from bilag.export_lanes")
        bilag.advance(hours=7)
        job = worker.claim_one()
    minutes = [None if wait is None else wait.total_seconds() / 60 for (wait,) in opened]
    assert minutes == [None, None, None, None, 1, 2, 4, 8, 16, 30, 30]


@pytest.mark.parametrize(
    ("error_class", "reason", "counted"),
    [("transient", "rate_limited", 0), ("permanent", None, 0), ("transient", None, 5), ("timeout", None, 5)],
)
def test_an_answer_that_refuses_ends_a_row_of_failures_for_somebody_is_there(
    bilag: Bilag, org: Organisation, worker: FakeWorker, error_class: str, reason: str | None, counted: int
) -> None:
    _run, job = started(org, worker)
    for _ in range(4):
        worker.settle(job, "unsent", failure=failed())
        bilag.advance(hours=1)
        job = worker.claim_one()
    worker.settle(job, "unsent", failure=failed(error_class, reason))
    assert org.database.value("select failures from bilag.export_lanes") == counted
    kinds = {kind for (kind,) in org.database.sql("select kind from bilag.open_alerts")}
    assert ("circuit_open" in kinds) == (counted == 5)


def test_a_probe_that_is_refused_for_good_closes_the_circuit(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    _run, job = started(org, worker)
    for _ in range(5):
        worker.settle(job, "unsent", failure=failed())
        bilag.advance(hours=1)
        job = worker.claim_one()
    worker.settle(job, "unsent", failure=failed("permanent"))
    assert org.database.sql("select failures, circuit_open_until from bilag.export_lanes") == [(0, None)]
    assert org.database.sql("select kind from bilag.open_alerts") == [("run_failed",)]


def test_one_organisations_failures_hold_up_no_other(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    other = bilag.organisation("Other")
    _run, job = started(org, worker)
    worker.settle(job, "unsent", failure=failed())
    other.claim("O-1")
    other.request()
    worker.work()
    assert (org.states(), other.states()) == ({"C-1": "pending"}, {"O-1": "exported"})


def test_a_failure_told_after_the_lease_was_lost_changes_no_wait(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    run, job = started(org, worker)
    bilag.advance(seconds=61)
    look = worker.claim_one()
    worker.settle(job, "unknown", failure=failed("permanent"))
    assert org.status(run)["status"] == "running"
    worker.settle(look, "exported")
    assert org.status(run)["status"] == "succeeded"


def test_a_permanent_failure_of_a_look_fails_no_run(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    run, job = started(org, worker)
    worker.settle(job, "unknown")
    bilag.advance(seconds=5)
    worker.settle(worker.claim_one(), "unknown", failure=failed("permanent"))
    assert org.status(run)["finishedAt"] is None
    assert org.states() == {"C-1": "in_doubt"}
