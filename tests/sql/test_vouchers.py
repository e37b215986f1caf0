"""What voucher a claim becomes: accounts, amounts, dimensions, references."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any

from tests.fix_bilag import TAXI, Bilag, Line, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker


def voucher(org: Organisation) -> dict[str, Any]:
    """The only voucher that an export would book now."""
    shown = org.preview()
    assert shown["rejected"] == []
    (only,) = shown["vouchers"]
    assert isinstance(only, dict)
    return only


def only_line(org: Organisation) -> dict[str, Any]:
    line, _settlement = voucher(org)["lines"]
    assert isinstance(line, dict)
    return line


def test_the_mapping_that_was_valid_on_the_expense_date_gives_the_account(org: Organisation) -> None:
    org.map("Taxi", "7141", valid_from=date(2026, 2, 1))
    org.map("Taxi", "7142", valid_from=date(2026, 2, 27))
    days = [date(2026, 1, 31), date(2026, 2, 1), date(2026, 2, 26), date(2026, 2, 27)]
    org.claim("C-1", *(Line("Taxi", "10", day) for day in days))
    accounts = [line["account"] for line in voucher(org)["lines"]]
    assert accounts == ["7140", "7141", "7141", "7142", "2910"]


def test_a_line_without_a_date_is_mapped_as_of_the_approval(org: Organisation) -> None:
    org.map("Taxi", "7141", valid_from=date(2026, 3, 2))
    org.map("Taxi", "7142", valid_from=date(2026, 3, 3))
    org.claim("C-1", Line("Taxi", "10", day=None))
    assert only_line(org)["account"] == "7141"


def test_the_vat_code_is_the_mappings(org: Organisation) -> None:
    org.map("Hotel", "7130", vat_code="12")
    org.claim("C-1", Line("Hotel", "1"), Line("Taxi", "1"))
    assert [line["vatCode"] for line in voucher(org)["lines"]] == ["12", None, None]


def test_a_dimension_of_the_line_wins_over_the_mappings(org: Organisation) -> None:
    org.map("Hotel", "7130", dimensions={"DEPARTMENT": "SALES", "PROJECT": "P1"})
    org.claim("C-1", Line("Hotel", "1", dimensions={"PROJECT": "P2", "EVENT": "E9"}))
    hotel, settlement = voucher(org)["lines"]
    assert hotel["dimensions"] == {"DEPARTMENT": "SALES", "PROJECT": "P2", "EVENT": "E9"}
    assert settlement["dimensions"] == {}


def test_the_settlement_balances_the_lines_to_the_last_cent(org: Organisation) -> None:
    amounts = ["0.1", "0.20", "99999999999.99", "-0.07", "33.33"]
    org.claim("C-1", *(Line("Taxi", amount) for amount in amounts))
    lines = voucher(org)["lines"]
    assert [line["amount"] for line in lines[:-1]] == ["0.10", "0.20", "99999999999.99", "-0.07", "33.33"]
    assert lines[-1]["amount"] == "-100000000033.55"
    assert sum(Decimal(line["amount"]) for line in lines) == 0


def test_a_claim_of_money_paid_back_is_a_credit_with_a_debit_settlement(org: Organisation) -> None:
    org.claim("C-1", Line("Taxi", "-12.50"))
    assert [line["amount"] for line in voucher(org)["lines"]] == ["-12.50", "12.50"]


def test_lines_of_zero_are_left_out_and_the_rest_is_numbered_without_gaps(org: Organisation) -> None:
    org.claim("C-1", Line("Meals", "0"), Line("Taxi", "5"), Line("Unmapped", "0.00"), Line("Meals", "7"))
    lines = voucher(org)["lines"]
    assert [(line["lineNo"], line["account"]) for line in lines] == [(1, "7140"), (2, "7150"), (3, "2910")]


def test_the_settlement_goes_to_the_configured_account(org: Organisation) -> None:
    org.configure(settlement_account="2390")
    org.claim("C-1")
    settlement = voucher(org)["lines"][-1]
    assert (settlement["account"], settlement["subledger"]) == ("2390", None)


def test_settlement_by_subledger_names_the_claimant(org: Organisation) -> None:
    org.configure(settlement="subledger")
    org.claim("C-1", claimant_reference="E1042")
    taxi, settlement = voucher(org)["lines"]
    assert (taxi["subledger"], settlement["subledger"]) == (None, "E1042")


def test_a_line_is_described_by_its_own_words_or_by_its_category(org: Organisation) -> None:
    org.claim("C-1", Line("Taxi", "1", description="Home from the cup final"), Line("Meals", "1", description=""))
    described = [line["description"] for line in voucher(org)["lines"]]
    assert described == ["Home from the cup final", "Meals", "Expense claim C-1"]


def test_a_job_carries_the_whole_voucher(org: Organisation, worker: FakeWorker) -> None:
    claim = org.claim("C-1", TAXI, claimant_reference="E7", documentation_url="https://files.example/c1.pdf")
    org.request()
    (item,) = worker.claim_one()["items"]
    whole = item["voucher"]
    lines = whole.pop("lines")
    reference = whole.pop("reference")
    assert re.fullmatch("BL[0-9A-Z]{18}", reference)
    assert whole == {
        "voucherNumber": 1,
        "revision": 1,
        "claimId": str(claim),
        "claimNumber": "C-1",
        "claimantReference": "E7",
        "postingDate": "2026-03-02",
        "documentDate": "2026-02-26",
        "currency": "NOK",
        "description": "Expense claim C-1",
        "documentationUrl": "https://files.example/c1.pdf",
    }
    assert lines[0] == {
        "lineNo": 1,
        "account": "7140",
        "amount": "100.50",
        "vatCode": None,
        "description": "Taxi",
        "dimensions": {},
        "subledger": None,
    }


def test_the_document_date_is_that_of_the_last_expense(org: Organisation) -> None:
    org.claim("C-1", Line("Taxi", "1", date(2026, 2, 20)), Line("Taxi", "1", None), Line("Taxi", "1", date(2026, 2, 3)))
    assert voucher(org)["documentDate"] == "2026-02-20"


def test_a_reference_is_the_same_whenever_it_is_computed_and_another_for_anything_else(catalogue: Database) -> None:
    one, other = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"
    asked = [(one, other, 1, False), (other, one, 1, False), (one, other, 2, False), (one, other, 1, True)]
    references = [catalogue.value("select bilag_internal.reference(%s, %s, %s, %s)", *each) for each in asked]
    again = [catalogue.value("select bilag_internal.reference(%s, %s, %s, %s)", *each) for each in asked]
    assert references == again
    assert len(set(references)) == 4
    # Frozen for ever: after a restore a claim must get the name under which the vendor already has it.
    assert references[0] == "BLNHPEASSAHIYIOMPIE5"


def test_vouchers_of_two_organisations_use_their_own_mappings(bilag: Bilag) -> None:
    one, other = bilag.organisation("One"), bilag.organisation("Other")
    other.map("Taxi", "9999", valid_from=date(2026, 1, 1))
    one.claim("C-1")
    other.claim("C-1")
    assert (only_line(one)["account"], only_line(other)["account"]) == ("7140", "9999")
