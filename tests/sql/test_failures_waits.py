"""Waits that bind a whole lane, waits that a DBA sets, and what a client is told of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, LiteralString
from uuid import UUID

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker, Job, failed


@pytest.fixture
def two_batches(bilag: Bilag, org: Organisation, worker: FakeWorker) -> tuple[UUID, Job]:
    """One batch in doubt, to be looked at in five seconds, and another one in the worker's hands."""
    bilag.database.sql("update bilag.integration_types set vouchers_per_batch = 1")
    org.approve(2)
    run = org.request()
    (second,) = worker.settle(worker.claim_one(), "unknown")
    return run, second


def wait_of(org: Organisation) -> timedelta:
    wait = org.database.value("select due_at - bilag_internal.now() from bilag.export_runs where finished_at is null")
    assert isinstance(wait, timedelta)
    return wait


@pytest.mark.parametrize(("asked", "minutes"), [(1200, 20), (None, 1), (10**6, 360)])
def test_a_rate_limit_of_a_write_holds_the_looks_of_its_lane_too(
    bilag: Bilag, worker: FakeWorker, two_batches: tuple[UUID, Job], asked: float | None, minutes: int
) -> None:
    _run, job = two_batches
    worker.settle(job, "unsent", failure=failed("transient", "rate_limited", asked))
    bilag.advance(minutes=minutes, seconds=-1)
    worker.tick()
    assert worker.claim() == [], "the look was due long ago"
    bilag.advance(seconds=1)
    assert worker.claim_one()["kind"] == "find"


def test_a_rate_limit_of_a_look_holds_the_writes_of_its_lane_too(
    bilag: Bilag, org: Organisation, worker: FakeWorker, two_batches: tuple[UUID, Job]
) -> None:
    first, job = two_batches
    worker.settle(job, "exported")
    bilag.advance(seconds=5)
    worker.settle(worker.claim_one(), "unknown", failure=failed("transient", "rate_limited", 600))
    org.approve(1, prefix="LATER")
    run = org.request()
    assert worker.claim() == []
    status = org.status(run)
    assert (status["status"], status["nextAttemptAt"]) == ("queued", "2026-03-02T11:10:05+00:00")
    assert status["waitingFor"]["reasonCode"] == "rate_limited"
    assert bilag.database.value("select status from bilag.overview") == "asked to wait until 11:10:05"
    assert org.status(first)["nextAttemptAt"] == "2026-03-02T11:10:05+00:00"
    bilag.advance(minutes=10)
    worker.work()
    assert org.status(run)["status"] == "succeeded"


def test_a_person_who_retries_does_not_wait_for_what_was_asked(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    run = org.request()
    worker.settle(worker.claim_one(), "unsent", failure=failed("transient", "rate_limited", 3600))
    org.database.sql("select bilag.retry_export(%s)", run)
    assert worker.claim_one()["kind"] == "post"


def test_what_waits_for_looks_only_names_the_moment_when_the_circuit_lets_them_through(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    run = org.request()
    worker.settle(worker.claim_one(), "unknown")
    for _ in range(5):
        bilag.advance(hours=1)
        worker.settle(worker.claim_one(), "unknown", failure=failed("timeout"))
    bilag.database.sql("update bilag.export_items set next_look_at = bilag_internal.now()")
    until = bilag.database.value("select circuit_open_until from bilag.export_lanes")
    status = org.status(run)
    assert status["waitingFor"]["reasonCode"] == "in_doubt"
    assert (status["nextAttemptAt"], status["waitingFor"]["until"]) == (until.isoformat(), until.isoformat())


def test_a_vault_that_does_not_answer_is_asked_on_the_schedule_and_the_run_then_fails(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    run = org.request()
    schedule = [wait for (wait,) in org.database.sql("select wait from bilag.retry_schedule order by failure")]
    for wait in schedule:
        worker.settle(worker.claim_one(), "unsent", failure=failed("transient", "credential_unreadable"))
        org.database.sql("update bilag.export_lanes set failures = 0, circuit_open_until = null")
        assert wait_of(org) == wait
        bilag.database.sql("select bilag_internal.advance_clock(%s)", wait)
    worker.settle(worker.claim_one(), "unsent", failure=failed("transient", "credential_unreadable"))
    assert org.status(run)["status"] == "failed"
    assert bilag.database.value("select paused_at from bilag.integration_config") is None


@pytest.mark.parametrize(
    ("change", "waits"),
    [
        ("update bilag.retry_schedule set wait = '7 seconds' where failure = 1", [7, 60]),
        ("delete from bilag.retry_schedule where failure > 1", [15, None]),
        ("truncate bilag.retry_schedule", [None]),
    ],
)
def test_a_dba_changes_the_schedule_by_changing_its_rows(
    bilag: Bilag, org: Organisation, worker: FakeWorker, change: LiteralString, waits: list[int | None]
) -> None:
    org.database.sql(change)
    org.claim("C-1")
    run = org.request()
    seen: list[Any] = []
    for _ in waits:
        worker.settle(worker.claim_one(), "unsent", failure=failed())
        ended = org.status(run)["status"] == "failed"
        seen.append(None if ended else wait_of(org).total_seconds())
        bilag.advance(minutes=1)
    assert seen == waits
