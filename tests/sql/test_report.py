"""Reports that are not as they should be: short, double, twice in one call. No outcome is lost to any of them."""

from __future__ import annotations

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker, failed, report


def test_what_a_report_does_not_tell_is_in_doubt_and_looked_up(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.approve(3)
    org.request()
    told = report(worker.claim_one())
    told["results"] = told["results"][:1]
    worker.tell(told)
    assert sorted(org.states().values()) == ["exported", "in_doubt", "in_doubt"]
    bilag.advance(seconds=61)
    look = worker.claim_one()
    assert (look["kind"], len(look["items"])) == ("find", 2)


def test_a_report_of_nothing_leaves_everything_in_doubt(org: Organisation, worker: FakeWorker) -> None:
    org.approve(2)
    org.request()
    told = report(worker.claim_one())
    worker.tell({**told, "results": None})
    assert set(org.states().values()) == {"in_doubt"}


def test_two_reports_of_one_item_in_one_call_are_told_in_turn_and_the_success_counts(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    post = worker.claim_one()
    bilag.advance(seconds=61)
    worker.tick()
    bilag.advance(seconds=61)
    look = worker.claim_one()
    assert worker.tell(report(look, "absent"), report(post, "exported")) == []
    assert org.states() == {"C-1": "exported"}
    assert bilag.database.value("select succeeded_attempts from bilag.export_items") == [1]


def test_the_same_success_twice_in_one_call_is_one_success(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    told = report(worker.claim_one())
    worker.tell(told, told)
    assert org.states() == {"C-1": "exported"}
    assert org.database.sql("select kind from bilag.alerts") == []


def test_many_empty_runs_in_a_row_are_no_reason_to_suspect_a_crash(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    for n in range(12):
        org.request(key=str(n))
        assert worker.claim() == []
    org.claim("C-1")
    org.request()
    worker.work()
    assert org.states() == {"C-1": "exported"}
    assert bilag.database.sql("select 1 from bilag.dead_letters") == []


def test_a_waiting_run_ends_when_a_look_settles_its_last_voucher(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    run = org.request()
    worker.settle(worker.claim_one(), "unknown", failure=failed("timeout"))
    assert org.status(run)["status"] == "waiting"
    bilag.advance(seconds=5)
    worker.settle(worker.claim_one(), "exported")
    status = org.status(run)
    assert (status["status"], status["error"]) == ("succeeded", None)


def test_parameters_of_a_reason_that_are_none_cost_no_outcome(org: Organisation, worker: FakeWorker) -> None:
    for n, params in enumerate((["x"], "text", 5, None)):
        org.claim(f"C-{n}")
        org.request()
        said = {"outcome": "rejected", "reasonCode": "account_unknown", "reasonParams": params}
        worker.settle(worker.claim_one(), said)
    assert set(org.states().values()) == {"rejected"}
