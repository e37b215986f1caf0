"""The file adapter keeps what a system that nobody can call must keep, in each of its formats."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from tests.adapters.contract_suite import BookingContract
from tests.adapters.shelf import Shelf
from tests.adapters.vendor import Vendor, voucher_of
from tests.gbat10 import Row, read_gbat10
from worker.contract import Batch, Line, Presence, Sending, Verdict

pytestmark = pytest.mark.anyio


class TestCsv(BookingContract):
    key = "file"

    @pytest.fixture
    def vendor(self) -> Vendor:
        return Shelf(format="csv")


class TestGbat10(BookingContract):
    key = "file"

    @pytest.fixture(params=["utf-8", "windows-1252", "iso-8859-1"])
    def vendor(self, request: pytest.FixtureRequest) -> Vendor:
        return Shelf(format="gbat10", encoding=request.param)


async def gbat10(*lines: Line, encoding: str = "utf-8", **facts: Any) -> tuple[list[Row], str | None]:
    """The rows of a file of one voucher, and what was remarked."""
    shelf = Shelf(format="gbat10", encoding=encoding)
    (outcome,) = await shelf.post(voucher_of(*lines, **facts))
    assert outcome.verdict is Verdict.EXPORTED, outcome
    return read_gbat10(shelf.files[-1], encoding), outcome.reason_params.get("message")


def debit(text: str = "Taxi", **facts: Any) -> Line:
    return Line(1, facts.pop("account", "7140"), Decimal("450.00"), text, **facts)


CREDIT = Line(2, "2910", Decimal("-450.00"), "Expense claim C-7")


async def test_a_csv_has_the_columns_that_are_promised_and_lines_that_end_in_cr_lf() -> None:
    shelf = Shelf(format="csv")
    await shelf.post(
        voucher_of(
            debit("Drosje, Bodø", vat_code="1", dimensions={"PROJECT": "P41", "DEPARTMENT": "SALG", "PERSON": "7"}),
            replace(CREDIT, subledger="E1042"),
            claim_number="C-7",
            documentation_url="https://app.example/claims/7",
        )
    )
    header, *lines, end = shelf.files[-1].split(b"\r\n")
    assert header == (
        b"voucher_number,posting_date,account_code,amount,currency,vat_code,description,claim_number,reference,dimensions"
    )
    assert (len(lines), end) == (2, b"")
    first, second = shelf.csv_rows()
    assert first["amount"] == "450.00"
    assert second["amount"] == "-450.00"
    assert json.loads(first["dimensions"]) == {"DEPARTMENT": "SALG", "PERSON": "7", "PROJECT": "P41"}
    assert json.loads(second["dimensions"]) == {"SUBLEDGER": "E1042"}
    assert (first["posting_date"], first["vat_code"], first["claim_number"]) == ("2026-03-01", "1", "C-7")
    assert second["description"] == "Expense claim C-7 https://app.example/claims/7"


@pytest.mark.parametrize("text", ["=cmd|'/c calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r\n=1", "＝1"])
async def test_a_text_that_a_spreadsheet_would_run_is_tamed_and_a_negative_amount_stays_a_number(text: str) -> None:
    shelf = Shelf(format="csv")
    await shelf.post(voucher_of(debit(text, account=text, vat_code=text), CREDIT, claim_number=text))
    first, second = shelf.csv_rows()
    for column in ("description", "account_code", "vat_code", "claim_number"):
        assert first[column] == f"'{text}"
    assert Decimal(second["amount"]) == Decimal("-450.00")


async def test_every_column_of_a_gbat10_line() -> None:
    (first, second), remark = await gbat10(
        debit("Drosje", vat_code="1", dimensions={"project": "P41", "DEPARTMENT": "SALG"}),
        replace(CREDIT, subledger="E1042"),
        claim_number="C-7",
        reference="BL0123456789ABCDEF01",
        voucher_number=41000001,
        posting_date=date(2026, 12, 31),
        documentation_url="https://app.example/claims/7",
    )
    assert remark is None
    assert list(first.columns) == [
        "GBAT10", "41000001", "20261231", "1", "12", "2026", "7140", "1", "450.00", "", "", "", "", "", "",
        "BL0123456789ABCDEF01", "", "", "", "", "C-7 Drosje", "", "", "P41", "SALG", "", "T", "450.00", "", "",
    ]  # fmt: skip
    text = "Expense claim C-7 https://app.example/claims/7"
    assert list(second.columns) == [
        "GBAT10", "41000001", "20261231", "1", "12", "2026", "2910", "0", "-450.00", "", "E1042", "", "", "", "",
        "BL0123456789ABCDEF01", "", "", "", "", text, text, "", "", "", "", "", "", "", "",
    ]  # fmt: skip


async def test_a_gbat10_file_is_in_the_encoding_that_was_asked_for_and_says_what_that_could_not_hold() -> None:
    (row, _), remark = await gbat10(debit('Ærlig Łódź – 5 €; "x"\n'), CREDIT, encoding="iso-8859-1", claim_number="C")
    assert row.text == "C Ærlig ?ódz ? 5 ?, 'x' "
    assert remark is not None
    for told in ('"Ł" became "?"', '"ź" became "z"', '"€" became "?"', '";" became ","', "U+000A became a space"):
        assert told in remark
    (row, _), remark = await gbat10(debit("Ærlig – 5 €"), CREDIT, encoding="windows-1252", claim_number="C")
    assert (row.text, remark) == ("C Ærlig – 5 €", None)


async def test_a_long_text_is_cut_and_how_much_is_told() -> None:
    (row, _), remark = await gbat10(debit("x" * 200), CREDIT, claim_number="C-7")
    assert row.text == "C-7 " + "x" * 96
    assert remark == "104 characters were cut off."


@pytest.mark.parametrize(
    ("voucher", "reason", "params"),
    [
        (
            voucher_of(debit(account="71400"), CREDIT),
            "does_not_fit",
            {"field": "account", "value": "71400", "limit": "at most 4 characters"},
        ),
        (
            voucher_of(debit(account="7;40"), CREDIT),
            "does_not_fit",
            {"field": "account", "value": "7;40", "limit": "a code of letters and digits"},
        ),
        (
            voucher_of(debit(), CREDIT, voucher_number=100_000_000),
            "does_not_fit",
            {"field": "voucher number", "value": "100000000", "limit": "at most 8 digits"},
        ),
        (
            voucher_of(debit(dimensions={"PROJECT": "P-41234"}), CREDIT),
            "does_not_fit",
            {"field": "project", "value": "P-41234", "limit": "at most 6 characters"},
        ),
        (
            voucher_of(debit(dimensions={"DEPARTMENT": "SALES"}), CREDIT),
            "does_not_fit",
            {"field": "department", "value": "SALES", "limit": "at most 4 characters"},
        ),
        (
            voucher_of(debit(vat_code="=1+1"), CREDIT),
            "does_not_fit",
            {"field": "VAT code", "value": "=1+1", "limit": "a code of letters and digits"},
        ),
        (voucher_of(debit(dimensions={"REGION": "N"}), CREDIT), "dimension_unsupported", {"dimension": "REGION"}),
        (
            voucher_of(debit(), CREDIT, currency="EUR"),
            "currency_unsupported",
            {"currency": "EUR", "ledgerCurrency": "NOK"},
        ),
    ],
)
async def test_a_voucher_with_a_code_that_gbat10_has_no_room_for_is_rejected_and_the_others_are_written(
    voucher: Any, reason: str, params: dict[str, str]
) -> None:
    shelf = Shelf(format="gbat10")
    good = shelf.voucher()
    rejected, exported = await shelf.post(voucher, good)
    assert (rejected.verdict, rejected.reason_code, rejected.reason_params) == (Verdict.REJECTED, reason, params)
    assert rejected.content is None
    assert exported.verdict is Verdict.EXPORTED
    assert {row.invoice for row in read_gbat10(shelf.files[-1])} == {good.reference}


async def test_the_same_batch_is_the_same_bytes() -> None:
    for made in ("csv", "gbat10"):
        shelf = Shelf(format=made)
        voucher = voucher_of(debit(dimensions={"PROJECT": "P", "DEPARTMENT": "D"}), CREDIT)
        turned = voucher_of(debit(dimensions={"DEPARTMENT": "D", "PROJECT": "P"}), CREDIT)
        again = replace(turned, reference=voucher.reference, voucher_number=voucher.voucher_number)
        await shelf.post(voucher)
        await shelf.post(replace(again, claim_id=voucher.claim_id, claim_number=voucher.claim_number))
        assert shelf.files[0] == shelf.files[1]


async def test_what_was_not_reported_is_absent_unless_the_database_may_have_forgotten_it() -> None:
    shelf = Shelf(format="csv")
    voucher = shelf.voucher()

    async def presence(**facts: bool) -> Presence:
        sending = Sending(voucher, 1, datetime.now(UTC), **facts)  # type: ignore[arg-type]
        (finding,) = await shelf.adapter.find(Batch(uuid4(), (sending,)), shelf.call())
        return finding.presence

    assert await presence() is Presence.ABSENT
    assert await presence(recovered=True) is Presence.UNKNOWN
    assert await presence(recovered=True, last_look=True) is Presence.ABSENT
