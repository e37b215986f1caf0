"""Asking whether what was booked still stands: batch by batch, behind exports, writing nothing to the vendor."""

from __future__ import annotations

from datetime import date
from typing import Any, LiteralString
from uuid import UUID

import pytest

from tests.fix_bilag import Bilag, Line, Organisation
from tests.sql.fake_worker import FakeWorker, Item, Job, failed
from tests.sql.refusals import refused
from tests.sql.vendor_with_memory import DAY, RELEASE, REVERSE, Vendor, export, reference

REQUEST: LiteralString = "select bilag.request_reconciliation(%s, 'xledger', '2026-03-01', '2026-03-31')"


@pytest.fixture
def vendor(org: Organisation, worker: FakeWorker) -> Vendor:
    """Batches are of two vouchers."""
    org.database.sql("update bilag.integration_types set vouchers_per_batch = 2")
    return Vendor(worker)


def request(org: Organisation) -> UUID:
    made = org.database.value(REQUEST, org.id)
    assert isinstance(made, UUID)
    return made


def status(org: Organisation, reconciliation: UUID) -> dict[str, Any]:
    return dict(org.database.value("select bilag.reconciliation_status(%s)", reconciliation))


def counted(org: Organisation, reconciliation: UUID) -> dict[str, int]:
    """The counts that are not zero."""
    return {name: n for name, n in status(org, reconciliation)["vouchers"].items() if n}


def vanished(org: Organisation) -> list[tuple[Any, ...]]:
    return org.database.sql(
        "select details -> 'claims', resolved_at is null from bilag.alerts where kind = 'voucher_vanished' order by id"
    )


def book(org: Organisation, vendor: Vendor, count: int = 5) -> None:
    org.approve(count)
    export(org, vendor)
    assert set(org.states().values()) == {"exported"}


def missing(*numbers: str, outcome: Any = "absent") -> Any:
    """Everything stands but these."""

    def answer(job: Job, item: Item) -> Any:
        assert job["kind"] == "reconcile", "a reconciliation neither posts nor finds"
        return outcome if item["voucher"]["claimNumber"] in numbers else "exported"

    return answer


def test_what_stands_is_counted_and_nothing_is_changed(org: Organisation, worker: FakeWorker, vendor: Vendor) -> None:
    book(org, vendor)
    rows: LiteralString = "select i::text from bilag.export_items i order by id"
    before = org.database.sql(rows)
    made = request(org)
    jobs = worker.work(missing())
    assert [len(job["items"]) for job in jobs] == [2, 2, 1]
    told = status(org, made)
    assert (told["status"], told["progress"], told["findings"]) == ("succeeded", 1, [])
    assert counted(org, made) == {"total": 5, "asked": 5, "standing": 5}
    assert org.database.sql(rows) == before
    assert vanished(org) == []


def test_a_client_polls_it_like_a_run(org: Organisation, worker: FakeWorker, vendor: Vendor) -> None:
    book(org, vendor)
    made = request(org)
    told = org.status(made)
    assert (told["status"], told["trigger"], told["claims"]["pending"]) == ("queued", "reconciliation", 5)
    assert set(told) == set(org.status(org.database.value("select id from bilag.export_runs")))
    (job,) = worker.claim()
    worker.settle(job, release=True)
    told = org.status(made)
    assert (told["status"], told["progress"], told["claims"]["exported"]) == ("running", 0.4, 2)
    first = {item["voucher"]["claimNumber"] for item in job["items"]}
    worker.work(missing(next(number for number in org.states() if number not in first)))
    assert org.status(made)["claims"] == {
        "total": 5, "pending": 0, "sending": 0, "accepted": 0, "exported": 4, "rejected": 1, "inDoubt": 0,
    }  # fmt: skip
    with org.database.as_user(org.member("member")) as connection:
        connection.execute("select bilag.export_status(%s)", [made])
    with org.database.as_user(org.member("member")) as connection, refused("KB003"):
        connection.execute("select bilag.reconciliation_status(%s)", [made])


def test_a_voucher_that_vanished_raises_one_alert_which_a_later_reconciliation_closes(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor
) -> None:
    book(org, vendor)
    made = request(org)
    worker.work(missing("C-0002", "C-0004"))
    assert counted(org, made) == {"total": 5, "asked": 5, "standing": 3, "vanished": 2}
    assert vanished(org) == [(["C-0002", "C-0004"], True)]
    found = status(org, made)["findings"]
    assert [(f["claimNumber"], f["finding"], f["voucherNumber"]) for f in found] == [
        ("C-0002", "absent", 2),
        ("C-0004", "absent", 4),
    ]
    states: LiteralString = "select claim_number, state from bilag.claim_exports where state <> 'booked' order by 1"
    assert org.database.sql(states) == [
        ("C-0002", "booked, and not found as it was booked"),
        ("C-0004", "booked, and not found as it was booked"),
    ]
    story = "\n".join(line for (line,) in org.database.sql("select bilag.explain_claim(%s, 'C-0002')", org.id))
    assert "reconciliation: not found" in story
    bilag.advance(minutes=1)
    request(org)
    worker.work(missing("C-0004"))
    assert vanished(org) == [(["C-0004"], True)]
    request(org)
    worker.work(missing())
    assert vanished(org) == [(["C-0004"], False)]
    assert counted(org, made)["vanished"] == 2, "what it found it found"


def test_a_release_of_what_vanished_closes_the_alert(org: Organisation, worker: FakeWorker, vendor: Vendor) -> None:
    claim = vendor.book(org)
    vendor.delete(reference(org))
    request(org)
    vendor.work()
    assert vanished(org) == [(["C-1"], True)]
    org.database.sql(RELEASE, claim)
    vendor.work()
    assert vanished(org) == [(["C-1"], False)]


@pytest.mark.parametrize(
    ("outcome", "finding"),
    [
        ({"outcome": "unknown", "reasonCode": "partial", "message": "1 of 2 lines"}, "partial"),
        ({"outcome": "import_error", "message": "No such account."}, "importError"),
    ],
)
def test_what_is_there_only_in_part_does_not_stand(
    org: Organisation, worker: FakeWorker, vendor: Vendor, outcome: Any, finding: str
) -> None:
    book(org, vendor)
    made = request(org)
    worker.work(missing("C-0003", outcome=outcome))
    assert counted(org, made) == {"total": 5, "asked": 5, "standing": 4, finding: 1}
    assert vanished(org) == [(["C-0003"], True)]
    assert status(org, made)["findings"][0]["message"] == outcome["message"]


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


def test_a_second_request_while_it_is_under_way_returns_the_same(org: Organisation, vendor: Vendor) -> None:
    book(org, vendor)
    first = request(org)
    assert request(org) == first
    other = org.database.value("select bilag.request_reconciliation(%s, 'xledger', '2026-02-01', '2026-02-28')", org.id)
    assert other != first
    vendor.work()
    assert request(org) != first


def test_it_can_be_cancelled_and_the_answer_under_way_is_not_taken(
    org: Organisation, worker: FakeWorker, vendor: Vendor
) -> None:
    book(org, vendor)
    made = request(org)
    job = worker.claim_one()
    assert org.database.value("select bilag.cancel_export(%s)", made) == "cancelled"
    assert org.database.value("select bilag.cancel_export(%s)", made) == "cancelled"
    assert worker.settle(job, "absent") == []
    assert (status(org, made)["status"], vanished(org)) == ("cancelled", [])


def test_what_cannot_be_asked_is_refused(bilag: Bilag, org: Organisation) -> None:
    bilag.type("blind", finds=False)
    org.integration("blind", books=False)
    with refused("KB004", "cannot be asked what it holds"):
        org.database.sql("select bilag.request_reconciliation(%s, 'blind', '2026-03-01', '2026-03-31')", org.id)
    for period in (("2026-03-31", "2026-03-01"), (None, "2026-03-01"), ("-infinity", "2026-03-01")):
        with refused("KB001", "is no period"):
            org.database.sql("select bilag.request_reconciliation(%s, 'xledger', %s, %s)", org.id, *period)
    org.database.sql("update bilag.integration_config set enabled = false where integration_type = 'xledger'")
    with refused("KB004", "is disabled"):
        request(org)


def test_only_finance_asks_and_strangers_learn_nothing(bilag: Bilag, org: Organisation) -> None:
    made = request(org)
    for person, code in ((org.member("member"), "KB003"), (bilag.organisation("Other").member(), "KB003")):
        with org.database.as_user(person) as connection, refused(code):
            connection.execute(REQUEST, [org.id])
    stranger = bilag.organisation("Third").member()
    for verb in ("reconciliation_status", "export_status", "cancel_export"):
        with org.database.as_user(stranger) as connection, refused("KB002", f"{made}."):
            connection.execute(f"select bilag.{verb}(%s)".encode(), [made])
    with org.database.as_user(stranger) as connection:
        assert connection.execute("select from bilag.reconciliations").fetchall() == []


def test_request_and_end_are_in_the_audit(org: Organisation, worker: FakeWorker, vendor: Vendor) -> None:
    book(org, vendor)
    request(org)
    worker.work(missing("C-0001"))
    rows = org.database.sql(
        "select action, details -> 'vouchers' ->> 'vanished' from bilag.bufdir_export_audit_log"
        " where action like 'reconciliation.%%' order by id"
    )
    assert rows == [("reconciliation.requested", None), ("reconciliation.succeeded", "1")]
