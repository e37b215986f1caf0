"""The fake Xledger answers as Xledger does, as far as that is known."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from dev.fakes import XledgerFake
from tests.dev.conftest import ADD, Client, line, voucher

QUEUE = "{ glImportItems(first: 100) { edges { cursor node { dbId trRegNumber extIdentifier } } } }"
ERRORS = "{ glImportItemErrors(first: 100) { edges { node { message transactionDbId errorLevel { code } } } } }"
POSTED = """{ journalEntries(first: 100) { edges { node {
    invoiceNumber extIdentifier amount account { code } transactionHeader { transactionNumber importedAt } } } } }"""


def nodes(data: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [edge["node"] for edge in data[name]["edges"] or []]


def test_the_probe_says_query(client: Client) -> None:
    assert client.ask("{ __typename }") == {"__typename": "Query"}


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer abc"}, {"authorization": "token"}])
def test_a_malformed_token_is_told_the_expected_header(erp: XledgerFake, header: dict[str, str]) -> None:
    answer = httpx.post(erp.url, json={"query": "{ __typename }"}, headers=header)
    assert answer.status_code == 200
    assert answer.json()["errors"][0]["message"].startswith("Bad format for API Token. Expected header:")


def test_an_unknown_token_is_refused(client: Client) -> None:
    client.token = "somebody-else"
    assert client.send("{ __typename }").status_code == 401


def test_the_content_type_is_not_insisted_on(erp: XledgerFake) -> None:
    headers = {"authorization": "token test-token", "content-type": "text/plain"}
    assert httpx.post(erp.url, content='{"query": "{ __typename }"}', headers=headers).json()["data"]


def test_the_vendors_own_example_is_accepted(client: Client, erp: XledgerFake) -> None:
    row = """{ node: { trRegNumber: 20260217 postedDate: "2026-02-17" invoiceDate: "2026-02-17"
        transactionSource: { code: "GL" } dueDate: "2027-01-01" amount: "%s101.00" invoiceAmount: "%s101.00"
        text: "Invoice Xledger Test - Line 1" invoiceNumber: "Xledger123" jobLevel: { dbSubId: 1 }
        account: { code: "1920" } } }"""
    rows = row % ("", "") + row % ("-", "-")
    client.ask(f"mutation {{ addGLImportItems(inputs: [{rows}]) {{ edges {{ node {{ dbId }} }} }} }}")
    assert erp.ledger.one("Xledger123").voucher_number == 20260217


def test_a_voucher_goes_through_the_queue_into_the_ledger(client: Client, erp: XledgerFake) -> None:
    erp.import_delay = None
    added = client.add(*voucher("BL1", 41))
    assert [edge["clientId"] for edge in added["addGLImportItems"]["edges"]] == ["BL1/7140", "BL1/2910"]
    assert {node["trRegNumber"] for node in nodes(client.ask(QUEUE), "glImportItems")} == {41}
    assert erp.ledger.vouchers() == []
    erp.run_import()
    assert nodes(client.ask(QUEUE), "glImportItems") == []
    posted = nodes(client.ask(POSTED), "journalEntries")
    assert [node["amount"] for node in posted] == ["1250.00", "-1250.00"]
    assert erp.ledger.one("BL1").debit == 1250


def test_the_import_waits_its_delay_on_the_fakes_own_clock(client: Client, erp: XledgerFake) -> None:
    erp.set_clock("2026-03-01T12:00:00+00:00")
    erp.import_delay = 60
    client.add(*voucher("BL1", 41))
    assert erp.ledger.missing(["BL1"]) == ["BL1"]
    erp.set_clock("2026-03-01T12:01:00+00:00")
    assert erp.ledger.missing(["BL1"]) == []


def test_times_are_norwegian_local_time_without_an_offset(client: Client, erp: XledgerFake) -> None:
    erp.set_clock("2026-07-01T12:00:00+00:00")
    client.add(*voucher("BL1", 41))
    header = nodes(client.ask(POSTED), "journalEntries")[0]["transactionHeader"]
    assert header["importedAt"] == "2026-07-01T14:00:00"


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("account", "9999"),
        ("subledger", "P123456"),
        ("taxRule", "77"),
        ("glObject2", "999"),
        ("project", "P-0"),
        ("product", "K-0"),
    ],
)
def test_an_unknown_code_is_named_with_its_field_and_owner(
    client: Client, erp: XledgerFake, field: str, code: str
) -> None:
    rows = voucher("BL1", 41, **{field: {"code": code}})
    owner = erp.owner.db_id
    assert client.refused(ADD, {"in": rows}) == [
        {"message": f"{field}.code: No value matching owner {owner}, code '{code}'."}
    ]
    assert erp.counts()["queued"] == 0


def test_one_bad_row_refuses_the_whole_mutation_unless_told_otherwise(client: Client, erp: XledgerFake) -> None:
    rows = [*voucher("BL1", 41), *voucher("BL2", 42, taxRule={"code": "77"})]
    client.refused(ADD, {"in": rows})
    assert erp.ledger.vouchers() == []
    erp.atomicity = "partial"
    client.refused(ADD, {"in": rows})
    assert erp.ledger.missing(["BL1", "BL2"]) == ["BL2"]
    assert erp.counts() == {"queued": 1, "importErrors": 1}


def test_an_unbalanced_voucher_is_accepted_and_surfaces_as_an_import_error(client: Client, erp: XledgerFake) -> None:
    client.add(line("BL1", 41, "7140", "10.00"), line("BL1", 41, "2910", "-9.00"))
    (error,) = nodes(client.ask(ERRORS), "glImportItemErrors")
    assert error["message"] == "Transaction 41 is not in balance. Difference: 1.00."
    rows = nodes(client.ask(QUEUE), "glImportItems")
    assert len(rows) == 2
    assert error["transactionDbId"] in {row["dbId"] for row in rows}


def test_a_closed_period_keeps_the_rows_until_it_is_opened(client: Client, erp: XledgerFake) -> None:
    erp.accountant.close_period("2026-03-31")
    client.add(*voucher("BL1", 41))
    assert "the period 2026-03 is closed" in nodes(client.ask(ERRORS), "glImportItemErrors")[0]["message"]
    erp.accountant.close_period(None)
    erp.run_import()
    assert erp.ledger.missing(["BL1"]) == []
    assert nodes(client.ask(ERRORS), "glImportItemErrors") == []


def test_a_row_without_an_account_is_accepted_and_fails_in_the_import(client: Client) -> None:
    incomplete = line("BL1", 41, "7140", "10.00")
    del incomplete["node"]["account"]
    client.add(incomplete, line("BL1", 41, "2910", "-10.00"))
    assert nodes(client.ask(ERRORS), "glImportItemErrors")[0]["message"] == "account is missing."


def test_nothing_is_recognised_as_a_copy(client: Client, erp: XledgerFake) -> None:
    client.add(*voucher("BL1", 41))
    client.add(*voucher("BL1", 41))
    assert erp.ledger.doubled() == {"BL1": 2}
    assert len(erp.ledger.vouchers()) == 2


def test_two_copies_waiting_together_become_one_voucher_with_every_line_twice(client: Client, erp: XledgerFake) -> None:
    erp.import_delay = None
    client.add(*voucher("BL1", 41))
    client.add(*voucher("BL1", 41))
    erp.run_import()
    assert len(erp.ledger.one("BL1").entries) == 4
    assert erp.ledger.doubled() == {"BL1": 2}


def test_more_than_500_nodes_are_refused(client: Client, erp: XledgerFake) -> None:
    rows = [row for number in range(251) for row in voucher(f"BL{number}", number + 1)]
    assert "at most 500 nodes" in client.refused(ADD, {"in": rows})[0]["message"]
    client.add(*rows[:500])
    assert len(erp.ledger.vouchers()) == 250


def test_queued_rows_can_be_removed_and_posted_ones_cannot(client: Client, erp: XledgerFake) -> None:
    erp.import_delay = None
    client.add(*voucher("BL1", 41))
    ids = [row["dbId"] for row in nodes(client.ask(QUEUE), "glImportItems")]
    remove = "mutation($ids:[Int64String!]){ removeGLImportItems(dbIds:$ids){ numAffected skippedDbIds } }"
    answer = client.ask(remove, {"ids": [*ids, "123"]})["removeGLImportItems"]
    assert answer == {"numAffected": 2, "skippedDbIds": ["123"]}
    erp.run_import()
    assert erp.ledger.vouchers() == []


def test_each_organisation_sees_its_own_ledger(client: Client, erp: XledgerFake) -> None:
    other = erp.add_owner("other-token", "Bergen Frivilligsentral")
    client.add(*voucher("BL1", 41))
    client.token = "other-token"
    client.add(*voucher("BL2", 41))
    assert {node["invoiceNumber"] for node in nodes(client.ask(POSTED), "journalEntries")} == {"BL2"}
    assert [voucher.reference for voucher in erp.ledger.vouchers(other.code)] == ["BL2"]


def test_a_row_may_name_an_entity_below_the_tokens_own(client: Client, erp: XledgerFake) -> None:
    below = erp.add_owner("branch-token", "Oslo lokallag", "OSLO")
    rows = [{**row, "node": {**row["node"], "owner": {"code": "OSLO"}}} for row in voucher("BL1", 41)]
    assert "owner.code: No value matching owner" in client.refused(ADD, {"in": rows})[0]["message"]
    erp.owner.children.append(below)
    client.add(*rows)
    assert erp.ledger.one("BL1").owner == "OSLO"
    assert nodes(client.ask(POSTED), "journalEntries") == []
    below_too = POSTED.replace("first: 100", "first: 100, ownerSet: ALL")
    assert len(nodes(client.ask(below_too), "journalEntries")) == 2


def test_a_read_only_token_may_look_and_not_write(client: Client, erp: XledgerFake) -> None:
    erp.issue_token("reader", erp.owner, read_only=True)
    client.token = "reader"
    client.ask(QUEUE)
    assert "no write access" in client.refused(ADD, {"in": voucher("BL1", 41)})[0]["message"]
