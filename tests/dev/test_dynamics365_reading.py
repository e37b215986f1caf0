"""What the fake Business Central shows: filters, pages, registers, and a replica that is behind."""

from __future__ import annotations

from dev.fakes import Dynamics365Fake
from tests.dev.bc_client import BcClient, line, voucher

WRITABLE = {"Data-Access-Intent": "ReadWrite"}


def numbers(bc_client: BcClient, text: str) -> list[str]:
    return [row["number"] for row in bc_client.ask("accounts", filter=text, select="number", orderby="number")]


def test_filters_read_as_they_are_written(bc_client: BcClient) -> None:
    assert numbers(bc_client, "number eq '7140' or number eq '2910'") == ["2910", "7140"]
    assert numbers(bc_client, "number ge '7100' and number lt '7140'") == ["7100", "7130"]
    assert numbers(bc_client, "startswith(number,'71') and not (number eq '7100' or number eq '7130')") == [
        *("7140", "7150", "7160")
    ]
    assert numbers(bc_client, "directPosting eq false") == ["2710"]
    assert numbers(bc_client, "accountType eq 'Heading'") == []
    assert numbers(bc_client, "contains(displayName,'ikke oppgavepliktige') and endswith(number,'0')") == [
        "7140",
        "7160",
    ]


def test_a_quote_is_doubled_inside_a_literal(bc_client: BcClient) -> None:
    bc_client.made("journals", {"code": "A", "displayName": "Ola's utlegg (mars) or not"})
    (found,) = bc_client.ask("journals", filter="displayName eq 'Ola''s utlegg (mars) or not'")
    assert found["code"] == "A"


def test_pages_follow_each_other_by_their_links(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    bc.page_size = 2
    journal = bc_client.journal()
    bc_client.write(journal, *voucher("BL1"), *voucher("BL2", 30_000), line(50_000, "BL3", "7140", 1))
    answer = bc_client.send(
        "GET", f"journals({journal})/journalLines", query={"$select": "lineNumber", "$count": "true"}
    )
    body, seen = answer.json(), []
    assert body["@odata.count"] == 5
    while True:
        seen += [row["lineNumber"] for row in body["value"]]
        link = body.get("@odata.nextLink")
        if link is None:
            break
        body = bc_client.send("GET", link.removeprefix(f"{bc.url}/companies({bc.company.code})/")).json()
    assert seen == [10_000, 20_000, 30_000, 40_000, 50_000]
    preferred = bc_client.send("GET", "accounts", None, {"Prefer": "odata.maxpagesize=1"}).json()
    assert len(preferred["value"]) == 1


def test_registers_and_the_setup_are_shown(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    bc.administrator.close_period("2026-02-28")
    (setup,) = bc_client.ask("generalLedgerSetup", select="allowPostingFrom,allowPostingTo,localCurrencyCode")
    assert (setup["allowPostingFrom"], setup["localCurrencyCode"]) == ("2026-03-01", "NOK")
    assert {row["code"] for row in bc_client.ask("dimensions")} == {"DEPARTMENT", "PROJECT", "PRODUCT"}
    (department,) = bc_client.ask("dimensions", filter="code eq 'DEPARTMENT'")
    values = bc_client.ask(f"dimensions({department['id']})/dimensionValues", filter="code eq '110'")
    assert [row["displayName"] for row in values] == ["Ungdom"]
    assert "1" in {row["code"] for row in bc_client.ask("taxGroups")}
    assert bc_client.ask("vendors", filter="number eq 'E1001'")[0]["displayName"] == "Frivillig 1001"


def test_lines_show_their_dimensions_when_asked_to(bc_client: BcClient) -> None:
    journal = bc_client.journal()
    bc_client.write(journal, *voucher("BL1", dimensionSetLines=[{"code": "PROJECT", "valueCode": "P-17"}]))
    first, second = bc_client.lines(journal, expand="dimensionSetLines")
    assert [(one["code"], one["valueCode"]) for one in first["dimensionSetLines"]] == [("PROJECT", "P-17")]
    assert second["dimensionSetLines"] == []
    bc_client.post(journal)
    entry = bc_client.entries("BL1")[0]
    held = bc_client.ask(f"generalLedgerEntries({entry['id']})/dimensionSetLines")
    assert [(one["code"], one["parentType"]) for one in held] == [("PROJECT", "General_x0020_Ledger_x0020_Entry")]


def test_options_are_shown_encoded_and_read_either_way(bc_client: BcClient) -> None:
    journal = bc_client.journal()
    for number, name in enumerate(("G/L Account", "G_x002F_L_x0020_Account"), start=1):
        made = bc_client.made(f"journals({journal})/journalLines", {"accountType": name, "lineNumber": number})
        assert made["accountType"] == "G_x002F_L_x0020_Account"


def test_lines_of_employees_are_there_and_not_listed(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    journal = bc_client.journal()
    bc_client.made(f"journals({journal})/journalLines", {"accountType": "Employee", "amount": 5, "documentNumber": "X"})
    assert bc_client.lines(journal) == []
    assert bc.counts()["journalLines"] == 1


def test_only_the_default_template_is_listed_without_a_filter_on_it(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    bc.administrator.set_template("CASH")
    bc.administrator.set_journal("KASSE", "CASH")
    bc_client.journal("EX")
    assert [row["code"] for row in bc_client.ask("journals")] == ["EX"]
    assert [row["code"] for row in bc_client.ask("journals", filter="templateDisplayName eq 'CASH'")] == ["KASSE"]


def test_a_company_is_chosen_by_the_path_or_by_the_query(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    bc_client.journal("EX")
    by_query = bc_client.send("GET", "/journals", query={"company": bc.company.code}).json()["value"]
    assert [row["code"] for row in by_query] == ["EX"]
    assert bc_client.refused("GET", "/journals")[0] == 404
    assert bc_client.refused("GET", "/journals?company=Nobody")[:2] == (404, "Internal_CompanyNotFound")


def test_a_read_is_behind_unless_it_asks_for_the_writable_database(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    bc_client.book("BL0", code="EARLY")
    bc.replica_lag = 30
    journal = bc_client.book("BL1", code="LATE")
    assert [row["code"] for row in bc_client.ask("journals")] == ["EARLY"]
    assert (len(bc_client.entries("BL0")), len(bc_client.entries("BL1"))) == (2, 0)
    assert bc_client.refused("GET", f"journals({journal})/journalLines")[0] == 404
    now = bc_client.send("GET", "generalLedgerEntries?$filter=documentNumber eq 'BL1'", None, WRITABLE).json()
    assert len(now["value"]) == 2
    bc.advance(31)
    bc_client.sign_in()
    assert len(bc_client.entries("BL1")) == 2
    assert [row["code"] for row in bc_client.ask("journals")] == ["EARLY", "LATE"]


def test_what_an_accountant_deletes_is_still_in_the_replica_for_a_while(
    bc: Dynamics365Fake, bc_client: BcClient
) -> None:
    bc_client.journal("EX")
    bc.replica_lag = 30
    assert bc.accountant.delete_journal("EX") == 1
    assert len(bc_client.ask("journals")) == 1
    bc.advance(31)
    bc_client.sign_in()
    assert bc_client.ask("journals") == []
