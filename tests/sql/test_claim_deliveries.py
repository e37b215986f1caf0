"""Deliveries are counted; what was handed out too often without any progress is set aside, and holds nothing."""

from __future__ import annotations

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker, Job
from tests.sql.refusals import refused


def crash(bilag: Bilag, worker: FakeWorker, times: int) -> None:
    """Workers take the only job and die over it."""
    for _ in range(times):
        worker.claim_one()
        bilag.advance(seconds=61)


def test_the_eleventh_delivery_without_progress_ends_the_run(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.approve(300)
    run = org.request()
    crash(bilag, worker, 10)
    job = worker.claim_one()
    status = org.status(run)
    assert status["status"] == "failed"
    assert status["error"]["message"] == "The run was handed to workers 10 times without any progress."
    assert (status["error"]["errorClass"], status["error"]["isRetryable"]) == ("permanent", False)
    assert status["claims"]["pending"] == 0
    assert (job["kind"], len(job["items"])) == ("find", 250), "what was sent once is still looked up"


def test_its_letter_and_its_alert_say_why(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    run = org.request()
    crash(bilag, worker, 10)
    worker.claim()
    letters = bilag.database.sql("select reason_code, reason_params, run_id, what_to_do from bilag.dead_letters")
    assert letters == [
        ("too_many_deliveries", {"deliveries": 10}, run, "Read the worker's log for the crash; then retry_export.")
    ]
    kinds = {kind for (kind,) in bilag.database.sql("select kind from bilag.open_alerts")}
    assert kinds == {"dead_letter", "run_failed"}


def test_its_claims_go_with_the_next_run(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.approve(300)
    org.request()
    crash(bilag, worker, 10)

    def find(job: Job) -> str:
        return "exported" if job["kind"] == "post" else "absent"

    worker.settle(worker.claim_one(), "absent")
    org.request()
    worker.work(lambda job, _item: find(job))
    assert set(org.states().values()) == {"exported"}


def test_any_outcome_is_progress(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    run = org.request()
    crash(bilag, worker, 9)
    worker.settle(worker.claim_one(), "unknown")
    bilag.advance(days=1)
    crash(bilag, worker, 9)
    assert org.status(run)["finishedAt"] is None
    assert bilag.database.sql("select 1 from bilag.dead_letters") == []


def test_a_look_that_kills_workers_is_put_off_for_a_day(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    run = org.request()
    worker.settle(worker.claim_one(), "unknown")
    bilag.database.sql("select bilag.cancel_export(%s)", run)
    bilag.advance(minutes=5)
    crash(bilag, worker, 10)
    assert worker.claim() == []
    assert bilag.database.value("select next_look_at - bilag_internal.now() from bilag.export_items").days == 1
    assert org.states() == {"C-1": "in_doubt"}


def test_a_dead_run_is_redriven_as_a_retry(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.approve(300)
    run = org.request()
    crash(bilag, worker, 10)
    worker.settle(worker.claim_one(), "exported")
    letter = bilag.database.value("select id from bilag.dead_letters")
    told = bilag.database.value("select bilag.redrive(%s)", letter)
    again = bilag.database.value("select id from bilag.export_runs where retry_of = %s", run)
    assert told == f"run {again}"
    assert bilag.database.sql("select 1 from bilag.dead_letters") == []
    worker.work()
    assert set(org.states().values()) == {"exported"}
    with refused("KB002", f"There is no dead letter {letter}"):
        bilag.database.sql("select bilag.redrive(%s)", letter)
