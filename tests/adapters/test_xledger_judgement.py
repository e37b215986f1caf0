"""The verdict on a voucher from the rows that were seen of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.adapters.vendor import voucher_of
from worker.adapters._xledger_judgement import Evidence, complaints_about, gather, judge, row_of
from worker.contract import Line, Presence, Voucher

PLAIN = voucher_of(Line(1, "7140", Decimal("1250.00"), "Drosje"), Line(2, "2910", Decimal("-1250.00"), "Oppgjør"))
TAXED = voucher_of(
    Line(1, "7140", Decimal("1250.00"), "Drosje", vat_code="1"), Line(2, "2910", Decimal("-1250.00"), "Oppgjør")
)


def node(db_id: Any, voucher: Voucher, line_no: int | None, amount: Any, **more: Any) -> dict[str, Any]:
    identifier = None if line_no is None else f"{voucher.reference}-{line_no}"
    return {"dbId": db_id, "extIdentifier": identifier, "invoiceNumber": voucher.reference, "amount": amount, **more}


def seen(voucher: Voucher, *, queued: list[dict[str, Any]] = [], posted: list[dict[str, Any]] = []) -> Evidence:  # noqa: B006
    known = {voucher.reference}
    rows = [[row for one in nodes if (row := row_of(one, known))] for nodes in (queued, posted)]
    return gather([voucher], *rows)[0]


def verdict(evidence: Evidence) -> Presence:
    return judge(evidence, {}, is_complete=True).presence


def test_a_row_is_ours_by_reference_and_line_number() -> None:
    row = row_of(node(7, PLAIN, 2, "-1250.00", transactionNumber=1001), {PLAIN.reference})
    assert row is not None
    assert (row.row_id, row.line_no, row.amount, row.number) == ("7", 2, Decimal("-1250.00"), "1001")


@pytest.mark.parametrize("identifier", [None, "", "OTHER-1", f"{PLAIN.reference}-x", PLAIN.reference])
def test_where_the_line_is_lost_the_invoice_number_still_names_the_voucher(identifier: str | None) -> None:
    row = row_of({"dbId": 7, "extIdentifier": identifier, "invoiceNumber": PLAIN.reference}, {PLAIN.reference})
    assert row is not None
    assert (row.line_no, row.amount) == (None, None)


@pytest.mark.parametrize("number", [None, "", "F-1001", PLAIN.reference + "0"])
def test_a_row_of_somebody_else_is_not_ours(number: str | None) -> None:
    assert row_of({"dbId": 7, "invoiceNumber": number, "extIdentifier": "F-1001-1"}, {PLAIN.reference}) is None


@pytest.mark.parametrize("amount", ["1250.00", "1250", "1250.0000", Decimal("1250.00"), 1250])
def test_an_amount_is_compared_as_a_number(amount: Any) -> None:
    assert verdict(seen(PLAIN, posted=[node(1, PLAIN, 1, amount), node(2, PLAIN, 2, "-1250.00")])) is Presence.WHOLE


@pytest.mark.parametrize("amount", ["1250.01", "-1250.00", None, "a lot", "NaN"])
def test_a_voucher_with_another_amount_is_not_ours_to_call_whole(amount: Any) -> None:
    rows = [node(1, PLAIN, 1, amount), node(2, PLAIN, 2, "-1250.00")]
    assert verdict(seen(PLAIN, posted=rows)) is Presence.UNKNOWN


def test_a_line_that_does_not_exist_is_not_overlooked() -> None:
    rows = [node(1, PLAIN, 1, "1250.00"), node(2, PLAIN, 2, "-1250.00"), node(3, PLAIN, 3, "0.00")]
    assert verdict(seen(PLAIN, posted=rows)) is Presence.UNKNOWN


@pytest.mark.parametrize("tax_line", [1, None], ids=["under the line's name", "under the reference only"])
def test_a_taxed_line_may_be_split_in_the_ledger(tax_line: int | None) -> None:
    rows = [node(1, TAXED, 1, "1000.00"), node(2, TAXED, tax_line, "250.00"), node(3, TAXED, 2, "-1250.00")]
    assert verdict(seen(TAXED, posted=rows)) is Presence.WHOLE


def test_the_queue_holds_what_was_sent_and_splits_nothing() -> None:
    rows = [node(1, TAXED, 1, "1000.00"), node(2, TAXED, None, "250.00"), node(3, TAXED, 2, "-1250.00")]
    assert verdict(seen(TAXED, queued=rows)) is Presence.UNKNOWN


def test_a_split_that_does_not_balance_is_unknown() -> None:
    rows = [node(1, TAXED, 1, "1000.00"), node(3, TAXED, 2, "-1250.00")]
    assert verdict(seen(TAXED, posted=rows)) is Presence.UNKNOWN


def test_without_line_numbers_the_amounts_speak_for_the_lines() -> None:
    rows = [node(1, PLAIN, None, "-1250.00"), node(2, PLAIN, None, "1250")]
    assert verdict(seen(PLAIN, posted=rows)) is Presence.WHOLE
    assert verdict(seen(PLAIN, posted=[*rows, *rows])) is not Presence.WHOLE


@pytest.mark.parametrize(("complete", "presence"), [(True, Presence.ABSENT), (False, Presence.UNKNOWN)])
def test_nothing_seen_is_absence_only_when_everything_was_read(complete: bool, presence: Presence) -> None:
    assert judge(seen(PLAIN), {}, is_complete=complete).presence is presence


def test_half_in_the_queue_and_half_in_the_ledger_is_whole_and_not_posted() -> None:
    evidence = seen(PLAIN, queued=[node(1, PLAIN, 1, "1250.00")], posted=[node(9, PLAIN, 2, "-1250.00")])
    finding = judge(evidence, {}, is_complete=True)
    assert (finding.presence, finding.posted) == (Presence.WHOLE, False)


@pytest.mark.parametrize(
    "error",
    [
        {"dbId": "11"},
        {"dbId": 11},
        {"dbId": 1, "transactionDbId": 12},
        {"message": f"Transaction {PLAIN.voucher_number} is not in balance."},
        {"message": f"Invoice {PLAIN.reference}: no."},
    ],
    ids=["id", "number", "transaction", "voucher number", "reference"],
)
def test_an_import_error_may_name_its_voucher_in_several_ways(error: dict[str, Any]) -> None:
    evidence = seen(PLAIN, queued=[node(11, PLAIN, 1, "1250.00"), node(12, PLAIN, 2, "-1250.00")])
    assert complaints_about([evidence], [{"message": "no", **error}]).keys() == {PLAIN.reference}


def test_an_import_error_about_somebody_elses_rows_is_not_ours() -> None:
    queued = seen(PLAIN, queued=[node(11, PLAIN, 1, "1250.00")])
    posted = seen(TAXED, posted=[node(13, TAXED, 1, "1250.00")])
    errors = [{"dbId": 99, "message": "Transaction 1 is bad."}, {"dbId": 13, "message": TAXED.reference}]
    assert complaints_about([queued, posted], errors) == {}
