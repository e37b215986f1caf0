"""Why a claim cannot become a voucher: one stable reason code each, with its parameters."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fix_bilag import TAXI, Bilag, Line, Organisation
from tests.sql.fake_worker import FakeWorker


def rejected(org: Organisation) -> dict[str, Any]:
    shown = org.preview()
    assert shown["vouchers"] == []
    (only,) = shown["rejected"]
    assert isinstance(only, dict)
    return only


def test_a_category_without_a_mapping(org: Organisation) -> None:
    org.claim("C-1", TAXI, Line("Sauna", "1"), Line("Yacht", "1"))
    told = rejected(org)
    assert (told["reasonCode"], told["reasonParams"]) == ("mapping_missing", {"category": "Sauna"})
    assert told["reason"] == "No account is mapped for category Sauna."


def test_a_mapping_that_is_not_valid_yet(org: Organisation) -> None:
    org.map("Sauna", "7999", valid_from="2026-02-27")
    org.claim("C-1", Line("Sauna", "1"))
    assert rejected(org)["reasonCode"] == "mapping_missing"


def test_another_integrations_mapping_does_not_count(bilag: Bilag, org: Organisation) -> None:
    bilag.type("other")
    org.map("Sauna", "7999", kind="other")
    org.claim("C-1", Line("Sauna", "1"))
    assert rejected(org)["reasonCode"] == "mapping_missing"


def test_a_currency_that_the_ledger_does_not_have(org: Organisation) -> None:
    org.claim("C-1", currency="EUR")
    told = rejected(org)
    assert told["reasonCode"] == "currency_unsupported"
    assert told["reasonParams"] == {"currency": "EUR", "ledgerCurrency": "NOK"}


def test_the_ledgers_own_currency_is_a_setting(org: Organisation) -> None:
    org.configure(currency="EUR")
    org.claim("C-1", currency="EUR")
    org.claim("C-2", currency="NOK")
    shown = org.preview()
    assert [voucher["claimNumber"] for voucher in shown["vouchers"]] == ["C-1"]
    assert [claim["claimNumber"] for claim in shown["rejected"]] == ["C-2"]


def test_a_system_with_foreign_currency_takes_any(bilag: Bilag, org: Organisation) -> None:
    bilag.database.sql("update bilag.integration_types set foreign_currency = true")
    org.claim("C-1", currency="EUR")
    (voucher,) = org.preview()["vouchers"]
    assert voucher["currency"] == "EUR"


def test_a_claim_without_lines(org: Organisation) -> None:
    org.database.sql(
        "insert into bilag.expense_claims (org_id, claim_number, status) values (%s, 'C-1', 'approved')", org.id
    )
    assert rejected(org)["reasonCode"] == "no_lines"


@pytest.mark.parametrize("amounts", [["0"], ["10", "-10"], ["0", "0.00"]])
def test_a_claim_that_sums_to_zero(org: Organisation, amounts: list[str]) -> None:
    org.claim("C-1", *(Line("Taxi", amount) for amount in amounts))
    assert rejected(org)["reasonCode"] == "nothing_to_book"


def test_a_voucher_larger_than_the_system_takes_in_one_piece(org: Organisation) -> None:
    org.claim("C-1", *[Line("Taxi", "1")] * 500)
    told = rejected(org)
    assert (told["reasonCode"], told["reasonParams"]) == ("too_many_lines", {"lines": 501, "limit": 500})


def test_a_voucher_of_just_the_size_that_the_system_takes(org: Organisation) -> None:
    org.claim("C-1", *[Line("Taxi", "1")] * 499)
    assert org.preview()["wouldBook"] == 1


@pytest.mark.parametrize("reference", [None, ""])
def test_subledger_settlement_of_a_claimant_without_a_reference(org: Organisation, reference: str | None) -> None:
    org.configure(settlement="subledger")
    org.claim("C-1", claimant_reference=reference)
    assert rejected(org)["reasonCode"] == "claimant_reference_missing"


def test_a_rejected_claim_holds_up_no_other(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1", Line("Sauna", "1"))
    org.claim("C-2")
    run = org.request()
    worker.work()
    assert org.states() == {"C-1": "rejected", "C-2": "exported"}
    assert org.status(run)["status"] == "partially_succeeded"


def test_every_reason_that_a_voucher_can_give_is_in_the_vocabulary(bilag: Bilag) -> None:
    body = bilag.database.value(
        "select pg_get_functiondef('bilag_internal.vouchers(uuid[], uuid[], date[])'::regprocedure)"
    )
    told = [
        "mapping_missing",
        "currency_unsupported",
        "no_lines",
        "nothing_to_book",
        "too_many_lines",
        "claimant_reference_missing",
        "period_closed",
    ]
    assert all(f"'{code}'" in body for code in told)
    known = bilag.database.sql("select reason_code from bilag.reasons where applies_to = 'claim'")
    assert set(told) <= {code for (code,) in known}
