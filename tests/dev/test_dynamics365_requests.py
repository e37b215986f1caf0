"""What the fake Business Central refuses in a request, and how it says so."""

from __future__ import annotations

from typing import Any

import pytest

from dev.fakes import Dynamics365Fake
from tests.dev.bc_client import ANY, BcClient, line, voucher

DIALOG = "Application_DialogException"


@pytest.mark.parametrize(
    ("wrong", "status", "code", "said"),
    [
        ({"currencyCode": "EUR"}, 400, "BadRequest", "The property 'currencyCode' does not exist on type"),
        ({"amount": "12.50"}, 400, "BadRequest", "to the type 'Edm.Decimal'"),
        ({"amount": True}, 400, "BadRequest", "to the type 'Edm.Decimal'"),
        ({"postingDate": "01.03.2026"}, 400, "BadRequest", "to the type 'Edm.Date'"),
        ({"lineNumber": 1.5}, 400, "BadRequest", "to the type 'Edm.Int32'"),
        ({"accountId": "7140"}, 400, "BadRequest", "to the type 'Edm.Guid'"),
        ({"documentNumber": "X" * 21}, 400, "Application_StringExceededLength", "is 21, but it must be less than"),
        ({"description": "x" * 101}, 400, "Application_StringExceededLength", "or equal to 100 characters. Value: x"),
        ({"comment": "x" * 251}, 400, "Application_StringExceededLength", "The length of the string is 251"),
        ({"externalDocumentNumber": "x" * 36}, 400, "Application_StringExceededLength", "is 36"),
        ({"accountType": "Nobody"}, 400, "Unknown", "'Nobody' is not an option. The existing options are: G/L Account"),
        ({"accountNumber": "9999"}, 400, DIALOG, 'The "accountNumber" does not match to an Account.'),
        ({"accountId": "00000000-0000-0000-0000-00000000beef"}, 400, DIALOG, 'The "accountId" does not match'),
        ({"taxCode": "99"}, 400, "Internal_InvalidTableRelation", "contains a value (99) that cannot be found"),
        ({"journalDisplayName": "X"}, 400, DIALOG, "The Journal Batch Display Name isn't editable."),
        ({"id": "00000000-0000-0000-0000-00000000beef"}, 400, "BadRequest_InvalidOperation", "'id' is read-only"),
        ({"dimensionSetLines": [{"code": "COLOUR", "valueCode": "RED"}]}, 400, DIALOG, 'The "code" does not match'),
        ({"dimensionSetLines": [{"code": "PROJECT", "valueCode": "X"}]}, 400, DIALOG, 'The "valueCode" does not match'),
    ],
)
def test_a_line_with_something_wrong_is_refused_and_not_written(
    bc_client: BcClient, wrong: dict[str, Any], status: int, code: str, said: str
) -> None:
    journal = bc_client.journal()
    body = {**line(10_000, "BL1", "7140", 12.5), **wrong}
    found = bc_client.refused("POST", f"journals({journal})/journalLines", body)
    assert found[:2] == (status, code)
    assert said in found[2]
    assert bc_client.lines(journal) == []


def test_a_vendor_that_is_not_there_is_refused_in_the_words_of_the_table(bc_client: BcClient) -> None:
    journal = bc_client.journal()
    body = {"accountType": "Vendor", "accountNumber": "E9999", "amount": -5}
    status, code, said = bc_client.refused("POST", f"journals({journal})/journalLines", body)
    assert (status, code) == (400, "Internal_InvalidTableRelation")
    assert "contains a value (E9999) that cannot be found in the related table (Vendor)." in said


def test_an_account_number_before_its_type_is_looked_for_among_the_ledger_accounts(bc_client: BcClient) -> None:
    journal = bc_client.journal()
    good = {"accountType": "Vendor", "accountNumber": "E1001", "amount": -5}
    made = bc_client.made(f"journals({journal})/journalLines", good)
    assert (made["accountType"], made["description"]) == ("Vendor", "Frivillig 1001")
    turned = {"accountNumber": "E1001", "accountType": "Vendor", "amount": -5}
    assert bc_client.refused("POST", f"journals({journal})/journalLines", turned)[1] == DIALOG


def test_codes_are_kept_in_upper_case_and_trimmed_and_are_unique(bc_client: BcClient) -> None:
    made = bc_client.made("journals", {"code": " exqw "})
    assert (made["code"], made["templateDisplayName"], made["balancingAccountNumber"]) == ("EXQW", "GENERAL", "")
    assert bc_client.refused("POST", "journals", {"code": "Exqw"})[:2] == (400, "Internal_EntityWithSameKeyExists")
    assert bc_client.refused("POST", "journals", {"code": "ELEVENCHARS"})[1] == "Application_StringExceededLength"
    assert bc_client.refused("POST", "journals", {"displayName": "no code"})[0] == 400
    wrote = bc_client.made(f"journals({made['id']})/journalLines", line(10_000, " bl1 ", "7140", 1))
    assert wrote["documentNumber"] == "BL1"
    assert len(bc_client.ask("journals", filter="code eq 'EXQW'")) == 1
    assert bc_client.ask("journals", filter="code eq 'exqw'") == []


def test_a_line_number_is_taken_once(bc_client: BcClient) -> None:
    journal = bc_client.journal()
    bc_client.write(journal, *voucher("BL1"))
    found = bc_client.refused("POST", f"journals({journal})/journalLines", line(20_000, "BL2", "7140", 1))
    assert found[:2] == (400, "Internal_EntityWithSameKeyExists")
    without = {name: value for name, value in line(0, "BL2", "7140", 1).items() if name != "lineNumber"}
    assert bc_client.made(f"journals({journal})/journalLines", without)["lineNumber"] == 30_000


def test_what_was_left_out_of_a_line_comes_from_the_line_before(bc_client: BcClient) -> None:
    journal = bc_client.journal()
    bc_client.write(journal, *voucher("BL17"))
    made = bc_client.made(f"journals({journal})/journalLines", {"accountNumber": "7140", "amount": 3.005})
    assert (made["documentNumber"], made["postingDate"], made["amount"]) == ("BL18", "2026-03-01", 3.01)
    assert made["description"] == "Reisekostnader, ikke oppgavepliktige"


def test_changing_and_deleting_want_an_etag(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    journal = bc_client.journal()
    bc_client.write(journal, *voucher("BL1"))
    first = bc_client.lines(journal)[0]
    url = f"journals({journal})/journalLines({first['id']})"
    change = {"amount": 7}
    assert bc_client.refused("PATCH", url, change)[:2] == (400, "BadRequest_RequiredParamNotProvided")
    assert bc_client.refused("PATCH", url, change, {"If-Match": "7"})[:2] == (400, "BadRequest_InvalidToken")
    assert bc_client.send("PATCH", url, change, {"If-Match": first["@odata.etag"]}).json()["amount"] == 7
    stale = {"If-Match": first["@odata.etag"]}
    assert bc_client.refused("DELETE", url, None, stale)[:2] == (409, "Request_EntityChanged")
    bc.etag_mismatch = 412
    assert bc_client.refused("DELETE", url, None, stale)[0] == 412
    assert bc_client.send("DELETE", url, None, ANY).status_code == 204
    assert [row["lineNumber"] for row in bc_client.lines(journal)] == [20_000]


def test_a_dimension_that_the_account_put_there_is_changed_and_not_added(
    bc: Dynamics365Fake, bc_client: BcClient
) -> None:
    bc.administrator.set_account("7140", default_dimensions={"DEPARTMENT": "100"})
    journal = bc_client.journal()
    made = bc_client.made(f"journals({journal})/journalLines", line(10_000, "BL1", "7140", 1))
    url = f"journalLines({made['id']})/dimensionSetLines"
    given = {"code": "DEPARTMENT", "valueCode": "110"}
    status, code, said = bc_client.refused("POST", url, given)
    assert (status, code) == (400, DIALOG)
    assert said.startswith("The dimension set line already exists. Check existing dimension set lines and the default")
    (held,) = bc_client.ask(f"journals({journal})/{url}")
    changed = bc_client.send("PATCH", f"{url}({held['id']})", {"valueCode": "110"}, ANY)
    assert (changed.status_code, changed.json()["valueCode"]) == (200, "110")
    assert bc_client.made(url, {"code": "project", "valueCode": "p-17"})["valueDisplayName"] == "Ferie for alle"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "nothings", 404, "BadRequest_NotFound"),
        ("GET", "journals(7140)", 400, "BadRequest_InvalidRequestUrl"),
        ("GET", "journals(00000000-0000-0000-0000-00000000beef)", 404, "BadRequest_ResourceNotFound"),
        ("GET", "journalLines", 400, DIALOG),
        ("POST", "accounts", 405, "BadRequest_MethodNotAllowed"),
        ("POST", "generalLedgerEntries", 405, "BadRequest_MethodNotAllowed"),
        ("PUT", "journals", 405, "BadRequest_MethodNotAllowed"),
        ("GET", "journals?$filter=code", 400, "BadRequest"),
        ("GET", "journals?$filter=code eq X", 400, "BadRequest"),
        ("GET", "journals?$filter=kode eq 'X'", 400, "BadRequest"),
        ("GET", "journals?$filter=code eq 'X' or displayName eq 'X'", 400, "BadRequest_MethodNotImplemented"),
        ("GET", "journals?$filter=(code eq 'X'", 400, "BadRequest"),
        ("GET", "generalLedgerEntries?$filter=debitAmount eq '5'", 400, "BadRequest"),
        ("GET", "generalLedgerEntries?$filter=externalDocumentNumber eq '41'", 400, "BadRequest"),
        ("GET", "journals?$select=kode", 400, "BadRequest"),
        ("GET", "journals?$top=all", 400, "BadRequest"),
        ("GET", "journals?$search=x", 400, "BadRequest"),
    ],
)
def test_a_url_that_leads_nowhere_is_refused(
    bc_client: BcClient, method: str, path: str, status: int, code: str
) -> None:
    assert bc_client.refused(method, path, {} if method == "POST" else None)[:2] == (status, code)


def test_a_body_that_is_not_json_is_refused(bc_client: BcClient) -> None:
    bc_client.sign_in()
    assert bc_client.raw("POST", "journals", b"code=EX", "text/plain").status_code == 415
    assert bc_client.raw("POST", "journals", b"{", "application/json").status_code == 400


def test_texts_of_errors_are_in_another_language_unless_english_is_asked_for(
    bc: Dynamics365Fake, bc_client: BcClient
) -> None:
    bc.language = "nb-NO"
    assert bc_client.refused("POST", "journals", {})[2] == "Handlingen kan ikke utføres."
    english = {"Accept-Language": "en-US"}
    assert bc_client.refused("POST", "journals", {}, english)[2].startswith("Name must have a value")
