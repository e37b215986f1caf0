"""How the fake Xledger shapes its answers: errors, paging, filters, limits, and its several ways to say nothing."""

from __future__ import annotations

from typing import Any

import pytest

from dev.fakes import XledgerFake
from tests.dev.conftest import ADD, Client, voucher

PAGE = """query($first:Int,$after:String,$filter:JournalEntry_Filter){
  journalEntries(first:$first,after:$after,filter:$filter){
    pageInfo{ hasNextPage hasPreviousPage } edges{ cursor node{ dbId invoiceNumber modifiedAt } } } }"""
NOTHING = "{ glImportItems(first: 1) { edges { node { dbId } } } }"


def test_an_unknown_field_is_named_in_the_vendors_words(client: Client) -> None:
    assert client.refused("{ foo }") == [{"message": "Cannot query field `foo` on type `Query`"}]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", "twelve"),
        ("amount", "1.005"),
        ("postedDate", "01.03.2026"),
        ("trRegNumber", "41a"),
        ("nonsense", 1),
        ("account", "7140"),
    ],
)
def test_a_wrong_value_is_refused_with_its_own_code(client: Client, field: str, value: Any) -> None:
    rows = voucher("BL1", 41, **{field: value})
    assert client.refused(ADD, {"in": rows})[0]["extensions"] == {"code": "INVALID_VALUE"}


def test_errors_come_with_http_200_or_with_400_when_told(client: Client, erp: XledgerFake) -> None:
    bad = {"in": voucher("BL1", 41, account={"code": "9999"})}
    first = client.send(ADD, bad)
    erp.error_status = 400
    second = client.send(ADD, bad)
    assert (first.status_code, second.status_code) == (200, 400)
    assert first.json() == second.json()


def test_a_scripted_error_has_its_code_at_the_top_level(client: Client, erp: XledgerFake) -> None:
    erp.answer_200_with_errors("BAD_REQUEST.INSUFFICIENT_CREDITS", extensions={"resetAt": "2026-03-01T12:00:00"})
    assert client.refused("{ __typename }") == [
        {
            "message": "Rejected",
            "code": "BAD_REQUEST.INSUFFICIENT_CREDITS",
            "extensions": {"resetAt": "2026-03-01T12:00:00"},
        }
    ]


def test_a_scripted_error_may_hide_that_the_request_was_executed(client: Client, erp: XledgerFake) -> None:
    erp.answer_200_with_errors(message="Your query timed out.", commit=True)
    assert client.refused(ADD, {"in": voucher("BL1", 41)})[0]["message"] == "Your query timed out."
    assert erp.ledger.missing(["BL1"]) == []


@pytest.mark.parametrize(
    ("empty", "answer"),
    [
        ("edges_null", {"glImportItems": {"edges": None}}),
        ("list", {"glImportItems": {"edges": []}}),
        ("connection_null", {"glImportItems": None}),
        ("data_null", None),
    ],
)
def test_nothing_can_look_in_several_ways(client: Client, erp: XledgerFake, empty: str, answer: Any) -> None:
    erp.empty = empty
    assert client.send(NOTHING).json() == {"data": answer}
    assert client.ask("{ __typename }") == {"__typename": "Query"}


def test_db_ids_are_strings_or_numbers(client: Client, erp: XledgerFake) -> None:
    as_text = client.add(*voucher("BL1", 41))["addGLImportItems"]["edges"][0]["node"]["dbId"]
    erp.db_ids = "number"
    as_number = client.add(*voucher("BL2", 42))["addGLImportItems"]["edges"][0]["node"]["dbId"]
    assert isinstance(as_text, str)
    assert isinstance(as_number, int)


def test_pages_follow_the_last_edges_cursor(client: Client) -> None:
    client.add(*[row for number in range(1, 4) for row in voucher(f"BL{number}", number)])
    seen, after = [], None
    while True:
        page = client.ask(PAGE, {"first": 4, "after": after})["journalEntries"]
        seen += [edge["node"]["invoiceNumber"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["edges"][-1]["cursor"]
    assert seen == ["BL1", "BL1", "BL2", "BL2", "BL3", "BL3"]


def test_a_page_has_at_most_10000_records(client: Client) -> None:
    assert "10000" in client.refused(PAGE, {"first": 10_001})[0]["message"]


def test_modified_at_filters_by_local_time(client: Client, erp: XledgerFake) -> None:
    erp.set_clock("2026-03-01T12:00:00+00:00")
    client.add(*voucher("BL1", 41))
    erp.set_clock("2026-03-01T14:00:00+00:00")
    client.add(*voucher("BL2", 42))
    found = client.ask(PAGE, {"filter": {"modifiedAt_gte": "2026-03-01T14:00:00"}})["journalEntries"]["edges"]
    assert {edge["node"]["invoiceNumber"] for edge in found} == {"BL2"}
    between = {"AND": [{"modifiedAt_gte": "2026-03-01T13:00:00"}, {"modifiedAt_lt": "2026-03-01T14:00:00"}]}
    found = client.ask(PAGE, {"filter": between})["journalEntries"]["edges"]
    assert {edge["node"]["invoiceNumber"] for edge in found} == {"BL1"}


def test_a_filter_that_nobody_has_been_seen_to_use_is_unknown_until_allowed(client: Client, erp: XledgerFake) -> None:
    client.add(*voucher("BL1", 41), *voucher("BL2", 42))
    wanted = {"filter": {"invoiceNumber_in": ["BL2"]}}
    assert "invoiceNumber_in" in client.refused(PAGE, wanted)[0]["message"]
    erp.filters = "wide"
    found = client.ask(PAGE, wanted)["journalEntries"]["edges"]
    assert {edge["node"]["invoiceNumber"] for edge in found} == {"BL2"}


def test_alternatives_are_shown_when_asked_for(client: Client) -> None:
    rows = voucher("BL1", 41, taxRule={"showAlternatives": "YES"})
    examples = client.refused(ADD, {"in": rows})[0]["extensions"]["exampleValidInputs"]
    assert {"code", "dbId", "ownerDbId", "text"} <= set(examples[0])


def test_headers_and_transactions_show_what_integrators_have_seen(client: Client) -> None:
    client.add(*voucher("BL1", 41))
    seen = client.ask("""{
        journalHeaders(first: 5) { edges { node { trRegNumber transactionNumber transProcessLevel { name } } } }
        transactions(first: 5) { edges { node { amount header { transactionNumber postedDate } } } } }""")
    assert seen["journalHeaders"]["edges"][0]["node"]["trRegNumber"] == 41
    assert [edge["node"]["amount"] for edge in seen["transactions"]["edges"]] == ["1250.00", "-1250.00"]


def test_bursts_are_counted_once_the_limit_is_on(client: Client, erp: XledgerFake) -> None:
    erp.set_clock("2026-03-01T12:00:00+00:00")
    erp.set_limits(burst=(3, 5.0))
    for _ in range(3):
        client.ask("{ __typename }")
    assert client.refused("{ __typename }")[0]["code"] == "BAD_REQUEST.BURST_RATE_LIMIT_REACHED"
    erp.set_clock("2026-03-01T12:00:05+00:00")
    client.ask("{ __typename }")


def test_credits_run_out_and_say_when_they_come_back(client: Client, erp: XledgerFake) -> None:
    erp.set_clock("2026-03-01T12:00:00+00:00")
    erp.set_limits(budget=1)
    client.ask("{ __typename }")
    error = client.refused("{ __typename }")[0]
    assert error["code"] == "BAD_REQUEST.INSUFFICIENT_CREDITS"
    assert error["extensions"] == {"resetAt": "2026-03-01T13:20:00"}
    erp.set_clock("2026-03-01T12:20:00+00:00")
    client.ask("{ __typename }")


def test_a_storm_goes_through_the_three_rate_limits(client: Client, erp: XledgerFake) -> None:
    erp.rate_limit_storm(times=4)
    codes = [client.refused("{ __typename }")[0]["code"].partition(".")[2] for _ in range(4)]
    assert codes == [
        "BURST_RATE_LIMIT_REACHED",
        "CONCURRENCY_LIMIT_REACHED",
        "INSUFFICIENT_CREDITS",
        "BURST_RATE_LIMIT_REACHED",
    ]
    client.ask("{ __typename }")
