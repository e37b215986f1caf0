"""However a run ends, it releases what is pending in that moment; what is unconfirmed outlives it and holds no lane."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tests.fix_bilag import Bilag, Line, Organisation
from tests.sql.fake_worker import FakeWorker, failed


def ends(org: Organisation) -> list[tuple[Any, ...]]:
    return org.database.sql("select action, details from bilag.bufdir_export_audit_log where action ~ '^run[.].*ed$'")


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        (["exported", "exported"], "succeeded"),
        (["exported", "rejected"], "partially_succeeded"),
        (["rejected", "rejected"], "failed"),
    ],
)
def test_the_status_of_an_ended_run_says_how_much_went_well(
    org: Organisation, worker: FakeWorker, outcomes: list[str], status: str
) -> None:
    org.approve(2)
    run = org.request()
    job = worker.claim_one()
    said = dict(zip((item["id"] for item in job["items"]), outcomes, strict=True))
    worker.settle(job, lambda item: said[item["id"]])
    assert org.status(run)["status"] == status


@pytest.mark.parametrize("end", ["cancelled", "failed", "deliveries", "retries"])
def test_every_end_of_a_run_releases_what_is_pending_and_the_next_run_takes_it(
    bilag: Bilag, org: Organisation, worker: FakeWorker, end: str
) -> None:
    org.approve(300)
    run = org.request()
    if end == "deliveries":
        for _ in range(10):
            worker.claim()
            bilag.advance(seconds=61)
        worker.settle(worker.claim_one(), "absent")
    elif end == "retries":
        org.database.sql("delete from bilag.retry_schedule")
        worker.settle(worker.claim_one(), "unsent", failure=failed())
    elif end == "failed":
        worker.settle(worker.claim_one(), "unsent", failure=failed("permanent"))
    else:
        org.database.sql("select bilag.cancel_export(%s)", run)
    if end != "cancelled":
        assert org.status(run)["status"] == "failed"
    held = org.database.value("select count(*) from bilag.export_items where holds")
    assert held == 0
    org.request()
    worker.work()
    assert list(org.states().values()) == ["exported"] * 300


def test_a_run_that_waits_for_confirmation_leaves_its_lane_and_finishes_when_all_is_seen(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.approve(2)
    run = org.request()
    worker.settle(worker.claim_one(), "accepted")
    status = org.status(run)
    assert (status["status"], status["waitingFor"]["reasonCode"]) == ("waiting", "awaiting_confirmation")
    assert status["claims"]["accepted"] == 2
    assert org.database.value("select run_id from bilag.export_lanes") is None
    org.claim("later")
    later = org.request()
    worker.settle(worker.claim_one(), "exported")
    assert org.status(later)["status"] == "succeeded", "the next run did not wait"
    bilag.advance(seconds=2)
    worker.settle(worker.claim_one(), "exported")
    assert org.status(run)["status"] == "succeeded"


def test_a_run_that_waits_for_doubtful_vouchers_finishes_when_they_are_known(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    run = org.request()
    worker.settle(worker.claim_one(), "unknown")
    assert org.status(run)["waitingFor"]["reasonCode"] == "in_doubt"
    bilag.advance(seconds=5)
    worker.settle(worker.claim_one(), "exported")
    assert org.status(run)["status"] == "succeeded"


def test_a_doubtful_voucher_that_is_absent_is_sent_by_the_run_that_waited_for_it(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    run = org.request()
    worker.settle(worker.claim_one(), "unknown")
    bilag.advance(seconds=61)
    (again,) = worker.settle(worker.claim_one(), "absent")
    assert again["runId"] == str(run)
    worker.settle(again, "exported")
    assert org.status(run)["status"] == "succeeded"


def test_patience_with_unconfirmed_vouchers_ends_after_an_hour_and_they_are_still_asked_for(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    run = org.request()
    worker.settle(worker.claim_one(), "accepted")
    for _ in range(12):
        bilag.advance(minutes=5)
        for job in worker.claim():
            worker.settle(job, "unknown")
        worker.tick()
    assert org.status(run)["status"] == "waiting"
    bilag.advance(seconds=1)
    assert worker.tick()["ended"] == 1
    assert org.status(run)["status"] == "partially_succeeded"
    assert org.states() == {"C-1": "accepted"}
    assert org.preview()["wouldBook"] == 0, "it still holds its claim"
    bilag.advance(hours=6)
    worker.settle(worker.claim_one(), "exported")
    assert org.states() == {"C-1": "exported"}


def test_patience_begins_when_the_run_has_nothing_left_to_try(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    run = org.request()
    worker.settle(worker.claim_one(), "unknown", failure=failed(retry_after=7200))
    bilag.advance(hours=2, seconds=1)
    worker.settle(worker.claim_one(), "unknown")
    assert worker.tick()["ended"] == 0
    assert org.status(run)["waitingFor"]["reasonCode"] == "in_doubt"
    bilag.advance(minutes=61)
    assert worker.tick()["ended"] == 1


def test_the_end_of_a_run_is_audited_with_counts_sums_and_a_hash_of_what_was_booked(
    org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1", Line("Taxi", "100.50"))
    org.claim("C-2", Line("Meals", "20"))
    org.claim("C-3", Line("Sauna", "1"))
    org.request()
    worker.work()
    ((action, details),) = ends(org)[1:]
    assert action == "run.partially_succeeded"
    assert details["sums"] == {"NOK": "120.50"}
    counts = {name: n for name, n in details["claims"].items() if n}
    assert counts == {"total": 3, "exported": 2, "rejected": 1}
    hashed = org.database.value(
        "select vouchers_sha256 from bilag.bufdir_export_audit_log order by sequence desc limit 1"
    )
    vouchers = org.database.sql(
        "select voucher::text from bilag.export_items where voucher is not null order by voucher_number"
    )
    assert hashed == hashlib.sha256(b"".join(hashlib.sha256(v.encode()).digest() for (v,) in vouchers)).digest()
    assert "Kari" not in json.dumps(details)


def test_a_run_ends_once(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    run = org.request()
    worker.work()
    before = org.status(run)
    org.database.sql("select bilag_internal.finish_runs(array[%s]::uuid[])", run)
    assert org.status(run) == before
    assert len(ends(org)) == 2


def test_the_end_of_a_run_leaves_other_runs_where_they_are(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.approve(300)
    org.request()
    worker.claim()
    other = bilag.organisation("Andre")
    other.claim("C-1")
    other.request()
    before = org.database.sql("select next_position from bilag.export_runs where org_id = %s", org.id)
    worker.settle(worker.claim_one(), "rejected")
    assert before == [(251,)]
    assert org.database.sql("select next_position from bilag.export_runs where org_id = %s", org.id) == before
    assert set(org.states().values()) == {"sending", "pending"}


def test_an_ended_run_keeps_no_item_that_a_worker_would_send(org: Organisation, worker: FakeWorker) -> None:
    org.approve(300)
    org.request()
    worker.settle(worker.claim_one(), "exported", failure=failed("permanent"))
    states = org.database.sql("select distinct state, holds, reason_code from bilag.export_items order by 1")
    assert states == [("exported", True, None), ("voided", False, "run_ended")]
    told = org.database.sql(
        "select distinct settled_at = bilag_internal.now(), message = bilag_internal.tell(reason_code, '{}')"
        " from bilag.export_items where state = 'voided'"
    )
    assert told == [(True, True)]
