"""The fake Business Central keeps to its contract: tokens, journals, lines, batches, posting."""

from __future__ import annotations

from decimal import Decimal

import httpx

from dev.fakes import Dynamics365Fake
from tests.dev.bc_client import SNAPSHOT, BcClient, line, voucher


def test_a_token_is_given_for_the_secret_and_the_scope_alone(bc_client: BcClient) -> None:
    given = bc_client.sign_in().json()
    assert (given["token_type"], given["expires_in"]) == ("Bearer", 3599)
    wrong = bc_client.sign_in(client_secret="guess")
    assert (wrong.status_code, wrong.json()["error_codes"]) == (401, [7000215])
    assert bc_client.sign_in(client_id="nobody").json()["error"] == "unauthorized_client"
    assert bc_client.sign_in(scope="https://graph.microsoft.com/.default").json()["error"] == "invalid_scope"


def test_a_token_that_is_wrong_or_has_expired_is_refused(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    bc_client.token = "eyJ0"
    expected = (401, "Authentication_InvalidCredentials", "The server has rejected the client credentials.")
    assert bc_client.refused("GET", "/companies") == expected
    bc_client.sign_in()
    assert bc_client.ask("/companies", top="1", select="id") == [
        {"@odata.etag": bc_client.ask("/companies")[0]["@odata.etag"], "id": bc.company.code}
    ]
    bc.advance(3600)
    assert bc_client.refused("GET", "/companies") == expected


def test_a_voucher_goes_from_a_journal_into_the_ledger(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    journal = bc_client.journal()
    bc_client.write(journal, *voucher("BL1", dimensionSetLines=[{"code": "DEPARTMENT", "valueCode": "110"}]))
    assert bc.ledger.missing(["BL1"]) == ["BL1"]
    posted = bc_client.post(journal)
    assert (posted.status_code, posted.content) == (204, b"")
    booked = bc.ledger.one("BL1")
    assert [(one.account, one.amount) for one in booked.entries] == [("7140", Decimal(1250)), ("2910", Decimal(-1250))]
    assert (booked.voucher_number, booked.entries[0].dimensions) == (41, {"DEPARTMENT": "110"})
    rows = bc_client.entries("BL1")
    assert [(row["accountNumber"], row["debitAmount"], row["creditAmount"]) for row in rows] == [
        ("7140", 1250, 0),
        ("2910", 0, 1250),
    ]


def test_what_is_left_of_a_posted_journal_is_one_blank_line(bc_client: BcClient) -> None:
    journal = bc_client.book("BL1")
    (blank,) = bc_client.lines(journal)
    assert (blank["lineNumber"], blank["documentNumber"], blank["amount"]) == (10_000, "", 0)
    url = f"journals({journal})/journalLines"
    status, code, _ = bc_client.refused("POST", url, line(10_000, "BL2", "7140", 1))
    assert (status, code) == (400, "Internal_EntityWithSameKeyExists")


def test_posting_again_books_nothing_more(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    journal = bc_client.book("BL1")
    url = f"journals({journal})/Microsoft.NAV.post"
    assert bc_client.refused("POST", url) == (400, "Application_DialogException", "There is nothing to post.")
    bc.empty_post = "accept"
    assert bc_client.post(journal).status_code == 204
    assert len(bc.ledger.vouchers()) == 1


def test_posting_takes_all_lines_whoever_wrote_them(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    journal = bc_client.journal()
    bc_client.write(journal, *voucher("BL1"))
    bc.accountant.add_line("EXQWMKZTRB", "HAND", "7790", "5.00")
    assert bc_client.post(journal).status_code == 400
    bc.accountant.add_line("EXQWMKZTRB", "HAND", "1920", "-5.00")
    assert bc_client.post(journal).status_code == 204
    assert sorted(bc.ledger.by_reference()) == ["BL1", "HAND"]


def test_a_batch_says_200_outside_and_a_failure_inside_takes_back_all_under_snapshot(
    bc: Dynamics365Fake, bc_client: BcClient
) -> None:
    journal = bc_client.journal()
    bad = bc_client.adding(journal, *voucher("BL1"), line(30_000, "BL2", "9999", 5), line(40_000, "BL2", "2910", -5))
    answer = bc_client.batch(*bad, headers=SNAPSHOT)
    assert answer.status_code == 200
    responses = answer.json()["responses"]
    assert [(one["id"], one["status"]) for one in responses] == [("1", 201), ("2", 201), ("3", 400), ("4", 201)]
    assert responses[0]["body"]["id"]
    assert 'The "accountNumber" does not match to an Account.' in responses[2]["body"]["error"]["message"]
    assert bc_client.lines(journal) == []
    assert bc.counts()["journalLines"] == 0


def test_a_batch_without_snapshot_stops_at_the_first_failure_and_keeps_what_was_before(bc_client: BcClient) -> None:
    journal = bc_client.journal()
    answer = bc_client.batch(*bc_client.adding(journal, *voucher("BL1")[:1], line(1, "B", "9", 5), *voucher("C", 7)))
    assert [one["status"] for one in answer.json()["responses"]] == [201, 400]
    assert [one["documentNumber"] for one in bc_client.lines(journal)] == ["BL1"]


def test_a_batch_of_more_than_a_hundred_operations_is_refused(bc_client: BcClient) -> None:
    journal = bc_client.journal()
    many = bc_client.adding(journal, *(line(n, "BL1", "7140", 1) for n in range(1, 102)))
    answer: httpx.Response = bc_client.batch(*many, headers=SNAPSHOT)
    assert answer.status_code == 500
    assert "too many parts. A maximum number of '100'" in answer.json()["error"]["message"]
    assert bc_client.lines(journal) == []


def test_several_companies_are_served_and_an_application_reaches_its_own_alone(
    bc: Dynamics365Fake, bc_client: BcClient
) -> None:
    other = bc.add_company("bergen-secret", "Bergen")
    bergen = BcClient(bc, "bergen-secret", other.code)
    bergen.book("BL1")
    assert [voucher.reference for voucher in bc.ledger.vouchers(other.code)] == ["BL1"]
    assert bc.ledger.vouchers(bc.company.code) == []
    bc_client.company = other.code
    assert bc_client.refused("GET", "journals")[:2] == (404, "Internal_CompanyNotFound")
    bergen.close()
