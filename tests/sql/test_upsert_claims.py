"""Claims in bulk: idempotent on their number, told one by one, and never stopped by a bad one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import uuid4

from psycopg.types.json import Jsonb

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused


def upsert(org: Organisation, *claims: Any) -> dict[str, Any]:
    return dict(org.database.value("select bilag.upsert_claims(%s, %s)", org.id, Jsonb(list(claims))))


def claim(number: str, **words: Any) -> dict[str, Any]:
    lines = [{"category": "Taxi", "amount": "12.50", "expense_date": "2026-02-20", "dimensions": {"PROJECT": "P"}}]
    return {"claim_number": number, "status": "approved", "lines": lines, **words}


def results(told: dict[str, Any]) -> list[str]:
    return [each["result"] for each in told["claims"]]


def test_claims_are_inserted_with_their_lines(org: Organisation, worker: FakeWorker) -> None:
    told = upsert(org, claim("C-1", claimant_name="Kari", claimant_reference="E1"), claim("C-2", status="draft"))
    assert (told["inserted"], results(told)) == (2, ["inserted", "inserted"])
    org.request()
    (item,) = worker.claim_one()["items"]
    assert item["voucher"]["claimantReference"] == "E1"
    assert item["voucher"]["lines"][0]["amount"] == "12.50"


def test_the_same_claims_again_are_unchanged(org: Organisation) -> None:
    upsert(org, claim("C-1"))
    told = upsert(org, claim("C-1"))
    assert (told["unchanged"], results(told)) == (1, ["unchanged"])
    assert org.database.value("select count(*) from bilag.expense_claim_lines") == 1


def test_a_draft_is_updated_and_its_lines_replaced(org: Organisation) -> None:
    upsert(org, claim("C-1", status="draft"))
    lines = [{"category": "Meals", "amount": 3}, {"category": "Taxi", "amount": 4}]
    told = upsert(org, claim("C-1", status="approved", currency="EUR", lines=lines))
    assert results(told) == ["updated"]
    assert org.database.sql("select line_no, category, amount from bilag.expense_claim_lines order by line_no") == [
        (1, "Meals", 3), (2, "Taxi", 4),
    ]  # fmt: skip
    assert org.database.sql("select status, currency from bilag.expense_claims") == [("approved", "EUR")]


def test_a_new_claim_has_the_id_that_the_application_gives_it(bilag: Bilag, org: Organisation) -> None:
    mine, other = str(uuid4()), str(uuid4())
    assert results(upsert(org, claim("C-1", id=mine))) == ["inserted"]
    assert results(upsert(org, claim("C-1", id=mine), claim("C-1"))) == ["unchanged", "unchanged"]
    assert org.database.sql("select id::text, claim_number from bilag.expense_claims") == [(mine, "C-1")]
    (told,) = upsert(org, claim("C-1", id=other))["claims"]
    assert (told["code"], told["message"]) == ("KB001", f"Claim C-1 has the id {mine}.")
    for someone in (org, bilag.organisation("Other")):
        (told,) = upsert(someone, claim("C-2", id=mine))["claims"]
        assert (told["result"], told["message"]) == ("refused", "The id belongs to another claim.")


def test_without_lines_the_lines_stay(org: Organisation) -> None:
    upsert(org, claim("C-1", status="draft"))
    upsert(org, {"claim_number": "C-1", "status": "submitted"})
    assert org.database.value("select count(*) from bilag.expense_claim_lines") == 1


def test_an_approved_claim_that_nothing_holds_may_be_withdrawn(org: Organisation) -> None:
    upsert(org, claim("C-1"))
    told = upsert(org, {"claim_number": "C-1", "status": "withdrawn"})
    assert results(told) == ["updated"]
    assert org.database.sql("select status, approved_at from bilag.expense_claims") == [("withdrawn", None)]


def test_a_claim_that_is_being_exported_is_refused(org: Organisation, worker: FakeWorker) -> None:
    upsert(org, claim("C-1"))
    org.request()
    worker.claim()
    told = upsert(org, {"claim_number": "C-1", "status": "withdrawn"}, claim("C-2"))
    assert results(told) == ["refused", "inserted"]
    assert told["claims"][0]["code"] == "KB008"


BAD: dict[str, Any] = {
    "no number": {"status": "draft"},
    "an empty number": {"claim_number": ""},
    "a number too long for an index": {"claim_number": "".join(map(str, range(9000)))},
    "not an object": 17,
    "null": None,
    "an array": ["C-1"],
    "an unknown status": {"claim_number": "X", "status": "paid"},
    "a currency of four letters": {"claim_number": "X", "currency": "NOKK"},
    "a date that is none": {"claim_number": "X", "status": "approved", "approved_at": "31 February"},
    "a user id that is none": {"claim_number": "X", "claimant_user_id": "Kari"},
    "an id that is none": {"claim_number": "X", "id": 17},
    "a key that nobody reads": {"claim_number": "X", "curency": "EUR"},
    "a key of a line that nobody reads": {"claim_number": "X", "lines": [{"category": "T", "amount": 1, "vat": 25}]},
    "null for lines": {"claim_number": "X", "lines": None},
    "lines that are none": {"claim_number": "X", "lines": "Taxi 100"},
    "a line that is none": {"claim_number": "X", "lines": ["Taxi 100"]},
    "a line without a category": {"claim_number": "X", "lines": [{"amount": 1}]},
    "a line without an amount": {"claim_number": "X", "lines": [{"category": "Taxi"}]},
    "an amount that is none": {"claim_number": "X", "lines": [{"category": "Taxi", "amount": "much"}]},
    "an amount of three decimals": {"claim_number": "X", "lines": [{"category": "Taxi", "amount": 1.005}]},
    "an amount beyond all money": {"claim_number": "X", "lines": [{"category": "Taxi", "amount": "1e200000"}]},
    "a line number twice": {"claim_number": "X", "lines": [{"category": "T", "amount": 1, "line_no": 1}] * 2},
    "a line number beyond integers": {"claim_number": "X", "lines": [{"category": "T", "amount": 1, "line_no": 1e12}]},
    "dimensions that are no object": {"claim_number": "X", "lines": [{"category": "T", "amount": 1, "dimensions": 1}]},
}


def test_a_bad_claim_is_refused_with_a_sentence_and_stops_no_other(org: Organisation) -> None:
    for n, (fault, bad) in enumerate(BAD.items()):
        told = upsert(org, claim(f"before {n}"), bad, claim(f"after {n}"))
        assert results(told) == ["inserted", "refused", "inserted"], fault
        assert (told["inserted"], told["refused"]) == (2, 1), fault
        refusal = told["claims"][1]
        assert len(refusal["code"]) == 5, fault
        if refusal["code"] in ("KB001", "23502", "23505", "23514"):
            assert refusal["message"].endswith("."), (fault, "ours to say, so it is a sentence")
            assert "violates" not in refusal["message"], fault
    assert org.database.value("select count(*) from bilag.expense_claims") == 2 * len(BAD)
    assert org.database.value("select count(*) from bilag.expense_claims where claim_number in ('', 'X')") == 0


def test_a_refusal_names_what_nobody_reads_and_what_there_is(org: Organisation) -> None:
    told = upsert(org, {"claim_number": "C-1", "curency": "EUR"}, claim("C-2", lines=[{"ammount": 1}]))
    one, two = (each["message"] for each in told["claims"])
    assert one.startswith("A claim has no curency; it has: id, claim_number, status, currency, approved_at, ")
    assert two == "A line has no ammount; it has: line_no, category, description, expense_date, amount, dimensions."


def test_every_rule_of_the_tables_that_a_claim_can_break_has_a_sentence(org: Organisation) -> None:
    rules = org.database.sql(
        "select conname, bilag_internal.refusal_told('23514', conname, null, 'raw') from pg_constraint"
        " where conrelid in ('bilag.expense_claims'::regclass, 'bilag.expense_claim_lines'::regclass) and contype = 'c'"
    )
    assert {rule for rule, told in rules if told == "raw"} == {"approved_claim_has_an_approval_time"}, "a trigger's"


def test_an_approved_claim_that_is_sent_with_other_money_is_refused_and_stays_as_it_is(org: Organisation) -> None:
    upsert(org, claim("C-1"))
    line = claim("C-1")["lines"][0]
    others: list[dict[str, Any]] = [
        {"currency": "EUR"}, {"lines": []}, {"lines": [line, line]}, {"lines": [{**line, "amount": "12.51"}]},
        {"lines": [{**line, "category": "Meals"}]}, {"lines": [{**line, "dimensions": {}}]},
    ]  # fmt: skip
    for other in others:
        (told,) = upsert(org, claim("C-1", **other))["claims"]
        assert (told["result"], told["code"]) == ("refused", "KB006"), other
        assert "other lines or another currency" in told["message"]
        assert "reopen_claim" in told["hint"]
    same = [
        {"claim_number": "C-1"},
        claim("C-1", claimant_name="Renamed"),
        claim("C-1", lines=[{**line, "amount": 12.5}]),
    ]
    assert results(upsert(org, *same)) == ["unchanged"] * 3
    assert org.database.sql("select category, amount from bilag.expense_claim_lines") == [("Taxi", Decimal("12.50"))]


def test_a_text_too_long_for_an_index_of_the_applications_own_stops_no_other_claim(org: Organisation) -> None:
    org.database.sql("create index by_claimant on bilag.expense_claims (org_id, claimant_name)")
    told = upsert(org, claim("before"), claim("C-1", claimant_name="".join(map(str, range(9000)))), claim("after"))
    assert results(told) == ["inserted", "refused", "inserted"]
    assert told["claims"][1]["code"] == "54000"


def test_what_is_not_an_array_is_the_callers_mistake(org: Organisation) -> None:
    for claims in ({"claim_number": "C-1"}, "C-1", None):
        with refused("KB001", "array"):
            org.database.value("select bilag.upsert_claims(%s, %s)", org.id, Jsonb(claims))


def test_the_same_number_twice_in_one_call_is_one_claim(org: Organisation) -> None:
    told = upsert(org, claim("C-1", status="draft"), claim("C-1", claimant_name="Kari"))
    assert results(told) == ["inserted", "updated"]
    assert org.database.value("select count(*) from bilag.expense_claims") == 1


def test_claim_numbers_belong_to_their_organisation(bilag: Bilag, org: Organisation) -> None:
    other = bilag.organisation("Other")
    upsert(org, claim("C-1"))
    assert results(upsert(other, claim("C-1", status="draft"))) == ["inserted"]


def test_members_without_finance_and_people_of_other_organisations_are_refused(bilag: Bilag, org: Organisation) -> None:
    stranger, member = bilag.organisation("Other").member(), org.member("member")
    for person in (stranger, member):
        with bilag.database.as_user(person) as connection, refused("KB003"):
            connection.execute("select bilag.upsert_claims(%s, '[]')", [org.id])
    with bilag.database.as_user(org.member()) as connection:
        connection.execute("select bilag.upsert_claims(%s, %s)", [org.id, Jsonb([claim("C-1")])])
    assert bilag.database.value("select count(*) from bilag.expense_claims") == 1
