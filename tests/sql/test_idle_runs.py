"""A run that finds nothing ends in the claim that takes its lane, and leaves the lane as it found it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tests.fix_bilag import Bilag, Line, Organisation
from tests.sql.fake_worker import FakeWorker, failed


def lane(org: Organisation, columns: str) -> tuple[Any, ...]:
    (row,) = org.database.sql(f"select {columns} from bilag.export_lanes where org_id = %s", org.id)
    return tuple(row)


def hints(org: Organisation) -> int:
    return int(org.database.value("select count(*) from pgmq.q_bilag_exports"))


def statuses(org: Organisation, *runs: UUID) -> list[str]:
    return sorted(org.status(run)["status"] for run in runs)


def claim_once(worker: FakeWorker) -> list[Any]:
    """One call; the fake worker, like the real one, asks again at once after a lane that needed no hands."""
    return worker.call("select job from bilag_internal.claim_exports(%s, 10, 60, 150) as job", worker.id)


def test_it_succeeds_at_once_without_a_lease_and_is_audited(org: Organisation, worker: FakeWorker) -> None:
    run = org.request()
    assert worker.claim() == []
    told = org.status(run)
    assert (told["status"], told["claims"]["total"]) == ("succeeded", 0)
    assert told["startedAt"] == told["finishedAt"] is not None
    assert lane(org, "due_at, msg_id, run_id, lease_token, lease_until, leased_at, leased_by, deliveries") == (
        *(None,) * 7,
        0,
    )
    assert hints(org) == 0
    link = "select action, details -> 'claims' ->> 'total' from bilag.bufdir_export_audit_log where run_id = %s"
    assert org.database.sql(f"{link} order by id desc limit 1", run) == [("run.succeeded", "0")]


def test_the_next_request_is_told_to_workers_again(org: Organisation, worker: FakeWorker) -> None:
    org.request()
    worker.claim()
    org.claim("C-1")
    org.request()
    assert hints(org) == 1
    worker.work()
    assert org.states() == {"C-1": "exported"}


def test_each_of_several_ends_in_a_claim_of_its_own(org: Organisation, worker: FakeWorker) -> None:
    runs = [org.request(key=key) for key in ("first", "second")]
    assert claim_once(worker) == [None]
    assert statuses(org, *runs) == ["queued", "succeeded"]
    assert hints(org) == 1
    assert claim_once(worker) == [None]
    assert statuses(org, *runs) == ["succeeded", "succeeded"]
    assert hints(org) == 0


def test_a_look_that_is_due_comes_first_and_what_it_frees_goes_with_the_run(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    lost = org.request()
    job = worker.claim_one()
    worker.settle(job, "unknown")
    org.database.sql("select bilag.cancel_export(%s)", lost)
    run = org.request()
    bilag.advance(minutes=10)
    worker.tick()
    look = worker.claim_one()
    assert look["kind"] == "find"
    assert statuses(org, run) == ["queued"]
    worker.settle(look, "absent", release=True)
    worker.work()
    assert org.states() == {"C-1": "exported"}
    assert org.database.value("select run_id from bilag.export_items where state = 'exported'") == run


def test_what_the_lane_had_begun_goes_on_first(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    begun = org.request()
    worker.claim_one()
    queued = org.request(key="later")
    bilag.advance(minutes=5)  # the worker is dead, and its run is behind the other one in the order of the queue
    org.database.sql("update bilag.export_runs set due_at = bilag_internal.now() where id = %s", begun)
    worker.tick()
    assert worker.claim_one()["kind"] == "find"
    assert statuses(org, begun, queued) == ["queued", "running"]


def test_idle_runs_between_do_not_hide_that_every_delivery_of_a_lane_dies(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    worker.work()
    org.database.sql("select bilag.request_reconciliation(%s, 'xledger', '2026-03-01', '2026-03-31')", org.id)
    died = 0
    for _ in range(20):
        org.request()
        worker.tick()
        died += len(worker.claim())
        bilag.advance(minutes=2)
    assert died == 10
    assert org.database.sql("select reason_code from bilag.dead_letters") == [("too_many_deliveries",)]


def test_one_that_was_cancelled_in_the_meantime_is_cancelled(org: Organisation, worker: FakeWorker) -> None:
    run = org.request()
    org.database.sql("update bilag.export_runs set cancel_requested_at = bilag_internal.now() where id = %s", run)
    worker.claim()
    assert statuses(org, run) == ["cancelled"]


def test_a_claim_that_somebody_is_changing_keeps_the_run_open(org: Organisation, worker: FakeWorker) -> None:
    claim = org.claim("C-1")
    run = org.request()
    with org.database.connect(autocommit=False) as other:
        other.execute("select from bilag.expense_claims where id = %s for update", [claim])
        worker.claim()
        assert statuses(org, run) == ["running"]


def test_the_run_of_a_failed_one_is_told_that_it_ended_well(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1", Line("Unheard of", "1.00"))
    org.request()
    worker.work()
    opened = "select count(*) from bilag.alerts where kind = 'run_failed' and resolved_at is null"
    assert org.database.value(opened) == 1
    org.request()
    worker.claim()
    assert org.database.value(opened) == 0


def test_one_that_failed_before_its_next_piece_goes_on_with_what_it_has(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    run = org.request()
    worker.settle(worker.claim_one(), "unsent", failure=failed("transient"))
    assert statuses(org, run) == ["waiting"]
    org.database.sql("update bilag.export_runs set took_all = false where id = %s", run)
    org.database.sql("update bilag.export_lanes set run_id = null")
    bilag.advance(hours=1)
    worker.tick()
    assert worker.claim_one()["kind"] == "post"


def test_a_run_that_is_not_due_yet_is_left_alone(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "unknown")
    run = org.request()
    org.database.sql("update bilag.export_runs set due_at = due_at + interval '1 day' where id = %s", run)
    bilag.advance(minutes=1)
    assert worker.claim_one()["kind"] == "find"
    assert statuses(org, run) == ["queued"]


def test_a_reversal_has_its_claim_already(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    claim = org.claim("C-1")
    org.request()
    worker.work()
    org.database.sql("update bilag.integration_types set finds = false")  # so that nothing is looked up first
    run = org.database.value("select bilag.reverse_export(%s, 'xledger', '2026-03-01', 'Wrong account.')", claim)
    assert statuses(org, run) == ["queued"]
    assert worker.claim_one()["kind"] == "post"
