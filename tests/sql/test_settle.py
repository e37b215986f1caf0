"""Outcomes become states: what each of them does to a voucher that was sent."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.fix_bilag import NOON, Bilag, Line, Organisation
from tests.sql.fake_worker import FakeWorker, Job, report


def sent(org: Organisation, worker: FakeWorker, count: int = 1) -> Job:
    org.approve(count)
    org.request()
    return worker.claim_one()


def item(org: Organisation, columns: str) -> tuple[Any, ...]:
    row = org.connection.execute(f"select {columns} from bilag.export_items order by id limit 1".encode()).fetchone()
    assert row is not None
    return row


@pytest.mark.parametrize(
    ("outcome", "state", "holds", "settles"),
    [
        ("exported", "exported", True, True),
        ("accepted", "accepted", True, False),
        ("rejected", "rejected", False, True),
        ("refused", "rejected", False, True),
        ("unknown", "in_doubt", True, False),
        ("a word that nobody knows", "in_doubt", True, False),
        ("import_error", "accepted", True, False),
    ],
)
def test_each_outcome_of_a_post_leads_to_its_state(
    org: Organisation, worker: FakeWorker, outcome: str, state: str, holds: bool, settles: bool
) -> None:
    worker.settle(sent(org, worker), outcome)
    now = item(org, "state, holds, settled_at is not null, next_look_at is not null")
    assert now == (state, holds, settles, not settles)


def test_what_was_never_sent_goes_again_at_once(org: Organisation, worker: FakeWorker) -> None:
    (again,) = worker.settle(sent(org, worker), "unsent")
    assert (again["kind"], again["items"][0]["attempt"]) == ("post", 2)


def test_each_item_has_its_own_outcome(org: Organisation, worker: FakeWorker) -> None:
    job = sent(org, worker, 4)
    outcomes = dict(zip([i["id"] for i in job["items"]], ["exported", "accepted", "rejected", "unknown"], strict=True))
    worker.settle(job, lambda i: outcomes[i["id"]])
    assert sorted(org.states().values()) == ["accepted", "exported", "in_doubt", "rejected"]


def test_a_booked_voucher_keeps_its_lines_its_id_and_its_time(org: Organisation, worker: FakeWorker) -> None:
    org.map("Hotel", "7130", vat_code="12", dimensions={"PROJECT": "P"})
    org.claim("C-1", Line("Hotel", "1250.5", description="Two nights"), Line("Taxi", "100"))
    org.request()
    worker.settle(worker.claim_one(), {"outcome": "exported", "externalId": "GL-77"})
    assert item(org, "external_id, booked_at, settled_at") == ("GL-77", NOON, NOON)
    lines = org.database.sql(
        "select line_no, account_code, amount::text, currency, vat_code, description, dimensions"
        " from bilag.export_lines order by line_no"
    )
    assert lines == [
        (1, "7130", "1250.50", "NOK", "12", "Two nights", {"PROJECT": "P"}),
        (2, "7140", "100.00", "NOK", None, "Taxi", {}),
        (3, "2910", "-1350.50", "NOK", None, "Expense claim C-1", {}),
    ]
    assert org.database.value("select booked from bilag.expense_claims")


def test_what_the_vendor_calls_it_is_kept_when_a_later_look_does_not_say(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    worker.settle(sent(org, worker), {"outcome": "accepted", "externalId": "Q-77"})
    bilag.advance(seconds=5)
    worker.settle(worker.claim_one(), {"outcome": "exported", "externalId": None})
    assert item(org, "state, external_id") == ("exported", "Q-77")


def test_what_was_not_sent_is_no_suspect_and_goes_again_as_one_batch(org: Organisation, worker: FakeWorker) -> None:
    org.approve(10)
    org.request()
    (again,) = worker.settle(worker.claim_one(), "unsent")
    assert len(again["items"]) == 10


def test_what_is_not_booked_has_no_lines(org: Organisation, worker: FakeWorker) -> None:
    worker.settle(sent(org, worker), "accepted")
    assert org.database.value("select count(*) from bilag.export_lines") == 0
    assert not org.database.value("select booked from bilag.expense_claims")


def test_a_rejection_keeps_the_vendors_reason(org: Organisation, worker: FakeWorker) -> None:
    said = {"outcome": "rejected", "reasonCode": "account_unknown", "reasonParams": {"code": "7140"}}
    worker.settle(sent(org, worker), said)
    assert item(org, "reason_code, reason_params, message") == (
        "account_unknown", {"code": "7140"}, "The accounting system does not know account 7140.",
    )  # fmt: skip


def test_a_rejection_without_a_code_is_the_vendors_refusal_in_its_own_words(
    org: Organisation, worker: FakeWorker
) -> None:
    worker.settle(sent(org, worker), {"outcome": "rejected", "message": "Konto finnes ikke"})
    assert item(org, "reason_code, reason_params, message") == (
        "refused_by_vendor", {"message": "Konto finnes ikke"}, "Konto finnes ikke",
    )  # fmt: skip


def test_a_long_message_is_cut_and_never_costs_an_outcome(org: Organisation, worker: FakeWorker) -> None:
    worker.settle(sent(org, worker), {"outcome": "rejected", "message": "å" * 5000})
    assert item(org, "state, length(message)") == ("rejected", 500)


def test_a_report_told_twice_changes_nothing(org: Organisation, worker: FakeWorker) -> None:
    for n, outcome in enumerate(["exported", "accepted", "rejected", "refused", "unknown", "unsent"]):
        org.approve(2, f"T{n}")
        org.request()
        told = report(worker.claim_one(), outcome)
        following = worker.tell(told)
        before = org.database.sql("select to_jsonb(i) from bilag.export_items i order by id")
        runs = org.database.sql("select to_jsonb(r) from bilag.export_runs r order by id")
        worker.tell(told)
        assert org.database.sql("select to_jsonb(i) from bilag.export_items i order by id") == before, outcome
        assert org.database.sql("select to_jsonb(r) from bilag.export_runs r order by id") == runs, outcome
        while following:
            following = worker.settle(following[0], "exported")
    assert org.database.sql("select 1 from bilag.alerts where kind = 'doubled'") == []


def test_every_job_has_a_token_of_its_own(org: Organisation, worker: FakeWorker) -> None:
    job = sent(org, worker, 600)
    tokens = [job["token"]]
    for _ in range(2):
        (job,) = worker.settle(job)
        tokens.append(job["token"])
    assert len(set(tokens)) == 3
    assert worker.beat(tokens[0]) == []
    assert [str(token) for token in worker.beat(job["token"])] == [job["token"]]


def test_one_call_settles_many_lanes_and_brings_the_next_job_of_each(bilag: Bilag, worker: FakeWorker) -> None:
    for n in range(3):
        org = bilag.organisation(str(n))
        org.approve(300)
        org.request()
    jobs = worker.claim()
    following = worker.tell(*(report(job) for job in jobs))
    assert sorted(job["lane"] for job in following) == sorted(job["lane"] for job in jobs)
    assert {len(job["items"]) for job in following} == {50}
    assert worker.tell(*(report(job) for job in following)) == []
    assert bilag.database.value("select count(*) from bilag.export_items where state = 'exported'") == 900


def test_a_worker_that_shuts_down_gets_nothing_more_and_the_lane_goes_to_another(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    job = sent(org, worker, 300)
    assert worker.settle(job, release=True) == []
    (job,) = bilag.worker().claim()
    assert len(job["items"]) == 50


def test_reports_of_nothing_and_of_unknown_lanes_are_heard_and_forgotten(org: Organisation, worker: FakeWorker) -> None:
    assert worker.tell() == []
    job = sent(org, worker)
    stranger = {**report(job), "lane": "00000000-0000-0000-0000-000000000000", "results": []}
    assert worker.tell(stranger) == []
    assert org.states() == {"C-0001": "sending"}


def test_what_a_system_says_of_its_own_import_is_an_alert_until_it_is_over(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    said = {"outcome": "import_error", "message": "Period closed"}
    worker.settle(sent(org, worker), said)
    assert item(org, "state, reason_code, message") == ("accepted", "import_error", "Period closed")
    assert bilag.database.sql("select kind from bilag.open_alerts") == [("import_error",)]
    bilag.advance(minutes=1)
    worker.settle(worker.claim_one(), "exported")
    assert bilag.database.sql("select kind from bilag.open_alerts") == []
    assert item(org, "state, reason_code, message") == ("exported", None, None)


def test_attempt_rows_are_written_in_bulk_and_cut(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    row = {
        "correlation_id": "7f0c1d1e-0000-4000-8000-000000000001", "org_id": str(org.id), "adapter_name": "xledger",
        "operation": "post", "attempt_number": 1, "error_class": "transient", "http_status": 503,
        "error_message": "x" * 900,
    }  # fmt: skip
    success = {**row, "attempt_number": 2, "total_attempts": 2, "error_class": None, "error_message": None}
    worker.call("select bilag_internal.log_attempts(%s)", Jsonb([row, success]))
    rows = bilag.database.sql(
        "select attempt_number, total_attempts, length(error_message) from bilag.attempts order by 1"
    )
    assert rows == [(1, None, 500), (2, 2, None)]
