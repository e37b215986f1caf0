"""Posting in the fake Business Central: what it books, what it refuses, and every trap that the contract names."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from dev.fakes import Dynamics365Fake
from tests.dev.bc_client import ANY, BcClient, line, voucher


def refusal(bc_client: BcClient, journal: str) -> str:
    status, code, said = bc_client.refused("POST", f"journals({journal})/Microsoft.NAV.post")
    assert (status, code) == (400, "Application_DialogException")
    return said


def written(bc_client: BcClient, *lines: dict[str, Any], code: str = "EXQWMKZTRB") -> str:
    journal = bc_client.journal(code)
    bc_client.write(journal, *lines)
    return journal


def booked(bc: Dynamics365Fake, reference: str) -> list[tuple[str, float]]:
    return [(entry.account, float(entry.amount)) for entry in bc.ledger.one(reference).entries]


def test_the_action_is_known_in_any_case_and_for_posting_alone(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    journal = written(bc_client, *voucher("BL1"))
    assert bc_client.refused("GET", f"journals({journal})/Microsoft.NAV.post")[0] == 404
    assert bc_client.send("POST", f"journals({journal})/microsoft.nav.POST").status_code == 204
    assert bc.calls["post"] == 1
    bc.ledger.one("BL1")


def test_each_document_must_balance_and_nothing_is_posted_when_one_does_not(
    bc: Dynamics365Fake, bc_client: BcClient
) -> None:
    journal = written(bc_client, *voucher("BL1"), *voucher("BL2", 30_000)[:1], *voucher("BL3", 50_000)[1:])
    assert refusal(bc_client, journal).startswith("Document No. BL2 is out of balance by 1250.00. Please check that")
    assert (bc.ledger.vouchers(), len(bc_client.lines(journal))) == ([], 4)
    bc.administrator.set_template(force_doc_balance=False)
    assert bc_client.post(journal).status_code == 204
    assert bc.ledger.unbalanced() == ["BL2", "BL3"]


def test_each_day_must_balance_too(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    debit, credit = voucher("BL1")
    journal = written(bc_client, debit, {**credit, "postingDate": "2026-03-02"})
    assert "The lines in 2026-03-01 are out of balance by 1250.00." in refusal(bc_client, journal)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"blocked": True}, "Blocked must be equal to 'No'"),
        ({"direct_posting": False}, "Direct Posting must be equal to 'Yes' in G/L Account: No.=7140"),
        ({"account_type": "Heading"}, "Account Type must be equal to 'Posting'"),
        ({"mandatory_dimensions": ["PROJECT"]}, "Select a Dimension Value Code for the Dimension Code PROJECT"),
    ],
)
def test_an_account_that_takes_no_posting_refuses_the_whole_journal(
    bc: Dynamics365Fake, bc_client: BcClient, setting: dict[str, Any], said: str
) -> None:
    bc.administrator.set_account("7140", **setting)
    journal = written(bc_client, *voucher("BL1"))
    assert said in refusal(bc_client, journal)
    assert bc.ledger.vouchers() == []


def test_a_day_outside_what_is_allowed_is_refused(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    bc.administrator.close_period("2026-03-31")
    journal = written(bc_client, *voucher("BL1"))
    assert "Posting Date is not within your range of allowed posting dates" in refusal(bc_client, journal)


def test_with_the_job_queue_a_204_is_posted_only_later(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    bc.administrator.set_up(job_queue_seconds=30)
    journal = written(bc_client, *voucher("BL1"))
    assert bc_client.post(journal).status_code == 204
    assert (bc.ledger.vouchers(), len(bc_client.lines(journal))) == ([], 2)
    bc.advance(31)
    assert bc.ledger.one("BL1").by == "job queue"
    assert [row["amount"] for row in bc_client.lines(journal)] == [0]


def test_what_the_job_queue_cannot_post_stays_and_nobody_is_told(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    bc.administrator.set_up(job_queue_seconds=30)
    journal = written(bc_client, *voucher("BL1")[:1])
    assert bc_client.post(journal).status_code == 204
    bc.advance(31)
    assert (bc.ledger.vouchers(), len(bc_client.lines(journal))) == ([], 1)
    assert "out of balance" in next(iter(bc.company.journals.values())).refusal


def test_a_journal_deleted_before_the_job_queue_comes_is_not_posted(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    bc.administrator.set_up(job_queue_seconds=30)
    journal = written(bc_client, *voucher("BL1"))
    bc_client.post(journal)
    assert bc_client.send("DELETE", f"journals({journal})", None, ANY).status_code == 204
    bc.advance(31)
    assert bc.ledger.vouchers() == []


def test_increment_batch_name_makes_a_new_journal_where_the_name_has_a_number(
    bc: Dynamics365Fake, bc_client: BcClient
) -> None:
    bc.administrator.set_template(increment_batch_name=True)
    numbered, immune = written(bc_client, *voucher("BL1"), code="EX09A"), written(bc_client, *voucher("BL2"))
    assert (bc_client.post(numbered).status_code, bc_client.post(immune).status_code) == (204, 204)
    assert bc_client.refused("GET", f"journals({numbered})")[0] == 404
    assert sorted(row["code"] for row in bc_client.ask("journals")) == ["EX10A", "EXQWMKZTRB"]
    assert bc_client.ask("journals", filter="code eq 'EXQWMKZTRB'")[0]["id"] == immune


def test_a_balancing_account_on_the_journal_doubles_every_line(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    bc.administrator.set_journal("THEIRS", balancing_account="1920")
    (journal,) = bc_client.ask("journals", filter="code eq 'THEIRS'")
    assert journal["balancingAccountNumber"] == "1920"
    bc_client.write(journal["id"], *voucher("BL1"))
    assert bc_client.post(journal["id"]).status_code == 204
    assert booked(bc, "BL1") == [("7140", 1250), ("1920", -1250), ("2910", -1250), ("1920", 1250)]


def test_a_posting_number_series_renumbers_what_is_posted(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    bc.administrator.set_journal("THEIRS", posting_no_series="GJ")
    (journal,) = bc_client.ask("journals", filter="code eq 'THEIRS'")
    bc_client.write(journal["id"], *voucher("BL1"))
    bc_client.post(journal["id"])
    assert bc_client.entries("BL1") == []
    assert len(bc_client.entries("GJ00001")) == 2
    bc.ledger.one("BL1")


def test_a_number_series_refuses_numbers_of_others_and_leaves_no_blank_line(
    bc: Dynamics365Fake, bc_client: BcClient
) -> None:
    bc.administrator.set_journal("THEIRS", no_series="GJ")
    (journal,) = bc_client.ask("journals", filter="code eq 'THEIRS'")
    bc_client.write(journal["id"], *voucher("BL1"))
    assert "You may not enter numbers manually" in refusal(bc_client, journal["id"])
    assert bc.accountant.delete_lines("BL1") == 2
    bc_client.write(journal["id"], *voucher("GJ7"))
    assert bc_client.post(journal["id"]).status_code == 204
    assert bc_client.lines(journal["id"]) == []


def test_an_account_with_vat_setup_splits_the_amount_unless_the_journal_does_not_copy_it(
    bc: Dynamics365Fake, bc_client: BcClient
) -> None:
    bc.administrator.set_account("7140", vat_percent=25)
    bc_client.book("BL1")
    assert booked(bc, "BL1") == [("7140", 1000), ("2710", 250), ("2910", -1250)]
    journal = written(bc_client, *voucher("BL2", 10_000, 0.03), code="PLAIN")
    bc.administrator.set_journal("PLAIN", copy_vat_setup=False)
    bc_client.post(journal)
    assert bc.ledger.one("BL2").entries[0].amount == Decimal("0.03")


def test_a_vendors_line_is_booked_on_what_is_owed_to_vendors(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    owed = {**line(20_000, "BL1", "E1001", -5), "accountType": "Vendor"}
    owed = {"accountType": "Vendor", **owed}
    journal = written(bc_client, line(10_000, "BL1", "7140", 5, taxCode="1"), owed)
    assert bc_client.post(journal).status_code == 204
    cost, debt = bc.ledger.one("BL1").entries
    assert (cost.vat_code, debt.account, debt.subledger) == ("1", "2400", "E1001")


def test_a_voucher_without_a_number_cannot_be_posted(bc_client: BcClient) -> None:
    journal = written(bc_client, *(line(n, "", "7140", amount) for n, amount in ((1, 5), (2, -5))))
    assert "Document No. must have a value" in refusal(bc_client, journal)


def test_an_application_without_the_permission_to_post_may_still_write(
    bc: Dynamics365Fake, bc_client: BcClient
) -> None:
    (application,) = bc.entra.applications.values()
    application.may_post = False
    journal = written(bc_client, *voucher("BL1"))
    assert bc_client.refused("POST", f"journals({journal})/Microsoft.NAV.post")[0] == 403
    application.may_write = False
    assert bc_client.refused("POST", "journals", {"code": "X"})[0] == 403
    assert bc.ledger.vouchers() == []
