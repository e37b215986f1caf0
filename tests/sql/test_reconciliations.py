"""Asking whether what was booked still stands: who may, what is answered, what is written down."""

from __future__ import annotations

from typing import Any, LiteralString

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker
from tests.sql.reconciling import REQUEST, book, counted, missing, request, status, vanished
from tests.sql.refusals import refused
from tests.sql.vendor_with_memory import RELEASE, Vendor, reference


@pytest.fixture
def vendor(org: Organisation, worker: FakeWorker) -> Vendor:
    """Batches are of two vouchers."""
    org.database.sql("update bilag.integration_types set vouchers_per_batch = 2")
    return Vendor(worker)


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
