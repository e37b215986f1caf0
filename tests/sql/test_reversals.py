"""A reversal books the mirror of a voucher exactly once, and the claim stays as it is until a person lets it go."""

from __future__ import annotations

from decimal import Decimal
from typing import LiteralString
from uuid import UUID

import pytest

from tests.fix_bilag import Line, Organisation
from tests.sql.correcting import items
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused
from tests.sql.vendor_with_memory import DAY, RELEASE, REVERSE, Vendor, audited, export, reference, shown


@pytest.fixture
def vendor(worker: FakeWorker) -> Vendor:
    return Vendor(worker)


@pytest.fixture
def claim(org: Organisation, vendor: Vendor) -> UUID:
    return vendor.book(org)


def test_a_reversal_books_the_mirror_once_and_the_claim_is_not_exported_again(
    org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    run = org.database.value(REVERSE, claim, DAY)
    assert shown(org) == ("booked; its reversal is under way", "reversal_requested")
    assert org.status(run)["waitingFor"]["reasonCode"] == "verifying_original"
    assert [job["kind"] for job in vendor.work()] == ["confirm", "find", "post"]
    status = org.status(run)
    assert (status["status"], status["trigger"], status["claims"]["exported"]) == ("succeeded", "reversal", 1)
    assert shown(org) == ("reversed by voucher 2", None)
    assert vendor.sums() == {"7140": Decimal(0), "2910": Decimal(0)}
    export(org, vendor)
    assert sorted(vendor.posts.values()) == [1, 1]
    story = "\n".join(line for (line,) in org.database.sql("select bilag.explain_claim(%s, 'C-1')", org.id))
    assert "as voucher 2 to reverse voucher 1" in story
    assert "claim.reversal_requested" in story


def test_the_report_says_what_reverses_what(org: Organisation, vendor: Vendor, claim: UUID) -> None:
    first = org.database.value("select id from bilag.export_runs")
    run = org.database.value(REVERSE, claim, "2026-03-05")
    vendor.work()
    report: LiteralString = "select distinct state from bilag.export_report(%s)"
    assert org.database.value(report, first) == "reversed by voucher 2 on 2026-03-05"
    assert org.database.value(report, run) == "reverses voucher 1"
    lines = org.database.sql("select amount, posting_date::text from bilag.export_report(%s) order by line_no", run)
    assert lines == [(Decimal("-100.50"), "2026-03-05"), (Decimal("100.50"), "2026-03-05")]


def test_a_reversal_is_minus_the_lines_as_booked_though_mappings_settings_and_dimensions_changed(
    org: Organisation, vendor: Vendor
) -> None:
    org.map("Hotel", "7160", vat_code="25", dimensions={"DEPARTMENT": "SALES"})
    claim = org.claim("C-1", Line("Hotel", "80"), Line("Taxi", "20.25", dimensions={"PROJECT": "P1"}))
    export(org, vendor)
    org.database.sql("update bilag.account_mappings set account_code = '9999', vat_code = null, dimensions = '{}'")
    org.configure(settlement_account="2999")
    org.database.sql(REVERSE, claim, DAY)
    vendor.work()
    booked, mirror = vendor.holds.values()
    assert [{**line, "amount": -Decimal(line["amount"])} for line in booked["lines"]] == [
        {**line, "amount": Decimal(line["amount"])} for line in mirror["lines"]
    ]
    assert mirror["reference"] != booked["reference"]


def test_after_a_reversal_a_person_lets_the_claim_go_again(org: Organisation, vendor: Vendor, claim: UUID) -> None:
    org.database.sql(REVERSE, claim, DAY)
    vendor.work()
    org.database.sql(RELEASE, claim)
    assert shown(org)[0] == "approved, waits for the next export"
    export(org, vendor)
    assert shown(org) == ("booked", None)
    assert len(vendor.holds) == 3
    assert set(vendor.posts.values()) == {1}
    org.database.sql(REVERSE, claim, DAY)
    vendor.work()
    assert len(vendor.holds) == 4, "the second voucher has a mirror of its own"
    assert vendor.sums() == {"7140": Decimal(0), "2910": Decimal(0)}


def test_a_reversed_claim_may_be_reopened_corrected_and_exported_anew(
    org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    reopen: LiteralString = "select bilag.reopen_claim(%s, 'wrong amount')"
    with refused("KB008"):
        org.database.sql(reopen, claim)
    org.database.sql(REVERSE, claim, DAY)
    with refused("KB008"):
        org.database.sql(reopen, claim)
    vendor.work()
    with refused("KB008", "was booked by xledger, and reversed"):
        org.database.sql("select bilag.exclude_claim(%s, 'xledger', 'private')", claim)
    org.database.sql(reopen, claim)
    export(org, vendor)
    assert len(vendor.holds) == 2
    org.database.sql("update bilag.expense_claim_lines set amount = 9")
    org.database.sql("update bilag.expense_claims set status = 'approved'")
    export(org, vendor)
    assert vendor.sums() == {"7140": Decimal(9), "2910": Decimal(-9)}


def test_a_second_click_changes_nothing(org: Organisation, vendor: Vendor, claim: UUID) -> None:
    first = org.database.value(REVERSE, claim, DAY)
    assert org.database.value(REVERSE, claim, DAY) == first
    with refused("KB004", "is being reversed by voucher 2"):
        org.database.sql(REVERSE, claim, "2026-03-09")
    with refused("KB004", "is being reversed"):
        org.database.sql(RELEASE, claim)
    vendor.work()
    with refused("KB004", "is reversed already, by voucher 2 of 2026-03-02"):
        org.database.sql(REVERSE, claim, DAY)
    assert audited(org).count("claim.reversal_requested") == 1


def test_a_reversal_needs_a_reason_and_an_open_day(org: Organisation, claim: UUID) -> None:
    with refused("KB001", "needs a reason"):
        org.database.sql("select bilag.reverse_export(%s, 'xledger', %s, ' ')", claim, DAY)
    with refused("KB001", "needs a reason"):
        org.database.sql("select bilag.release_for_reexport(%s, 'xledger', null)", claim)
    for day in (None, "infinity"):
        with refused("KB001", "no day to book"):
            org.database.sql(REVERSE, claim, day)
    org.database.sql("update bilag.integration_config set books_closed_until = '2026-03-31'")
    with refused("KB004", "The books are closed until 2026-03-31"):
        org.database.sql(REVERSE, claim, "2026-03-31")
    org.database.sql(REVERSE, claim, "2026-04-01")


def test_a_retry_of_an_old_reversal_does_not_reverse_what_was_exported_since(
    org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    cancelled = org.database.value(REVERSE, claim, DAY)
    org.database.sql("select bilag.cancel_export(%s)", cancelled)
    vendor.work()
    vendor.delete(reference(org))
    org.database.sql(RELEASE, claim)
    vendor.work()
    export(org, vendor)
    with refused("KB004", "Voucher 1, which the run was to reverse, was released"):
        org.database.sql("select bilag.retry_export(%s)", cancelled)
    assert vendor.work() == []
    assert shown(org) == ("booked", None)


def test_a_reversal_that_was_cancelled_with_an_empty_note_is_retried(
    org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    run = org.database.value(REVERSE, claim, DAY)
    org.database.sql("select bilag.cancel_export(%s, ' ')", run)
    assert items(org)[1] == (1, True, "voided", "reversal_not_sent")
    org.database.sql("select bilag.retry_export(%s)", run)
    vendor.work()
    assert shown(org)[0].startswith("reversed by voucher")
