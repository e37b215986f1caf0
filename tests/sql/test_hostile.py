"""Hostile and absurd input: it is refused in a sentence or booked as it is, and never stops what stands beside it."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.fix_bilag import Bilag, Line, Organisation
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused

UPSERT = "select bilag.upsert_claims(%s, %s)"
GOOD = {"category": "Taxi", "amount": "100.50", "expense_date": "2026-02-26"}

TEXTS = {
    "SQL": "'; drop schema bilag cascade; --",
    "dollar quotes": "$$; select pg_terminate_backend(pg_backend_pid()); $$",
    "a format string": "%s %(name)s %I {category} {0} \\1 & $1",
    "control characters": "a\x01b\x02\x1b[31mred\x7f\r\n\tend",
    "right to left": "\u202egnp.exe\u202c \u0627\u0644\u0633\u0644\u0627\u0645 \u200f\u200e\ufeff",
    "combining": "e" + "\u0301" * 300,
    "emoji": "👩‍👩‍👧‍👦🇳🇴" * 20,
    "not a character": "\ufffe\uffff\U0010ffff",
    "markup": "<script>alert(1)</script>&amp;\"'`",
    "a formula": "=cmd|' /C calc'!A0",
    "GraphQL": '"}){ deleteEverything } #',
    "a path": "../../../../etc/passwd\x0b",
    "one megabyte": "æ" * 1_000_000,
}

ABSURD: dict[str, dict[str, Any]] = {
    "not an object": {"": 7},
    "an amount of NaN": {"lines": [{**GOOD, "amount": "NaN"}]},
    "an infinite amount": {"lines": [{**GOOD, "amount": "-Infinity"}]},
    "an amount with three decimals": {"lines": [{**GOOD, "amount": "1.005"}]},
    "a huge amount": {"lines": [{**GOOD, "amount": "1e300"}]},
    "a huger amount": {"lines": [{**GOOD, "amount": "1e140000"}]},
    "an amount just too large": {"lines": [{**GOOD, "amount": "1000000000000"}]},
    "an amount that is text": {"lines": [{**GOOD, "amount": "ten"}]},
    "an amount that is an object": {"lines": [{**GOOD, "amount": {"value": 10}}]},
    "no amount": {"lines": [{"category": "Taxi"}]},
    "no category": {"lines": [{"amount": "1"}]},
    "a category of a megabyte": {"lines": [{**GOOD, "category": "x" * 1_000_000}]},
    "lines that are text": {"lines": "many"},
    "lines that are an object": {"lines": {"0": GOOD}},
    "a line that is a number": {"lines": [7]},
    "a line that is null": {"lines": [None]},
    "the same line twice": {"lines": [{**GOOD, "line_no": 1}, {**GOOD, "line_no": 1}]},
    "a line number out of range": {"lines": [{**GOOD, "line_no": 99999999999}]},
    "dimensions that are a list": {"lines": [{**GOOD, "dimensions": ["SALES"]}]},
    "dimensions within dimensions": {"lines": [{**GOOD, "dimensions": {"DEPARTMENT": {"code": "SALES"}}}]},
    "a day that does not exist": {"lines": [{**GOOD, "expense_date": "2026-02-30"}]},
    "a day before Christ": {"lines": [{**GOOD, "expense_date": "0044-03-15 BC"}]},
    "a day at the end of time": {"lines": [{**GOOD, "expense_date": "infinity"}]},
    "a day after the calendar": {"lines": [{**GOOD, "expense_date": "5874898-01-01"}]},
    "an unknown status": {"status": "paid"},
    "an approval at the end of time": {"approved_at": "infinity"},
    "an approval in the year 9999": {"approved_at": "9999-12-31"},
    "an approval that is text": {"approved_at": "yesterday evening-ish"},
    "a currency in words": {"currency": "kroner"},
    "a currency in small letters": {"currency": "nok"},
    "a claimant whose id is no uuid": {"claimant_user_id": "1; select 1"},
    "a claim number of a megabyte": {"claim_number": "x" * 1_000_000},
}


def told(org: Organisation, *claims: Any) -> dict[str, Any]:
    return dict(org.database.value(UPSERT, org.id, Jsonb(list(claims))))


def claim(number: str, **more: Any) -> dict[str, Any]:
    return {"claim_number": number, "status": "approved", "lines": [GOOD], **more}


@pytest.mark.parametrize("absurd", ABSURD.values(), ids=ABSURD.keys())
def test_an_absurd_claim_is_refused_in_a_sentence_and_its_mates_are_booked(
    org: Organisation, worker: FakeWorker, absurd: dict[str, Any]
) -> None:
    bad: Any = 7 if "" in absurd else {**claim("bad"), **absurd}
    report = told(org, claim("first"), bad, claim("last"))
    assert (report["inserted"], report["refused"]) == (2, 1), report
    assert report["claims"][1]["code"]
    assert 10 < len(report["claims"][1]["message"]) < 600, "one sentence, however long the input was"
    org.request()
    worker.work()
    assert org.states() == {"first": "exported", "last": "exported"}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_any_text_is_booked_as_it_is(org: Organisation, worker: FakeWorker, text: str) -> None:
    lines = [{**GOOD, "description": text}]
    names = {"claimant_name": text, "claimant_reference": text[:90], "documentation_url": text}
    report = told(org, claim("first"), claim(text[:90], lines=lines, **names), claim("last"))
    assert report["inserted"] == 3, report
    seen = org.preview()
    assert (seen["wouldBook"], seen["wouldReject"]) == (3, 0)
    run = org.request()
    sent: list[str] = []

    def book(_job: Any, item: Any) -> str:
        sent.append(item["voucher"]["lines"][0]["description"])
        return "exported"

    worker.work(book)
    assert sorted(sent) == sorted(["Taxi", text, "Taxi"])
    assert org.states() == {"first": "exported", text[:90]: "exported", "last": "exported"}
    kept = org.database.sql("select description from bilag.export_report(%s) where line_no = 1", run)
    assert sorted(kept) == sorted([("Taxi",), (text,), ("Taxi",)])
    assert text[:90] in [c for (c,) in org.database.sql("select claim_number from bilag.claim_exports")]
    assert org.database.sql("select bilag.explain_claim(%s, %s)", org.id, text[:90])
    assert org.database.value("select bilag.verify_audit(%s)", org.id) is None


def test_a_nul_stops_at_the_door(org: Organisation) -> None:
    """Neither text nor jsonb can hold one: the whole call is refused, by Postgres and in words."""
    with pytest.raises(psycopg.DataError):
        told(org, claim("a\x00b"))
    with pytest.raises(psycopg.DataError):
        org.claim("a\x00b")
    assert org.database.value("select count(*) from bilag.expense_claims") == 0


@pytest.mark.parametrize(
    "category", ["Taxi'; delete from bilag.export_runs; --", "x" * 200, "{category}", "\u202eixaT", ""]
)
def test_a_category_of_any_name_is_unmapped_or_mapped_like_every_other(
    org: Organisation, worker: FakeWorker, category: str
) -> None:
    org.claim("odd", Line(category, "5"))
    org.claim("mate")
    org.request()
    worker.work()
    assert org.states() == {"mate": "exported", "odd": "rejected"}
    reason = org.database.value("select reason from bilag.claim_exports where claim_number = 'odd'")
    assert reason == f"No account is mapped for category {category}."
    org.map(category, "71 40'; --")
    org.request()
    worker.work()
    assert org.states() == {"mate": "exported", "odd": "exported"}


def test_ten_thousand_lines_are_refused_alone_or_booked_whole(bilag: Bilag, worker: FakeWorker) -> None:
    bilag.type("roomy", linesPerBatch=20000)
    org = bilag.organisation()
    org.integration("roomy", books=False)
    org.map("Taxi", "7140", "roomy")
    many = [{**GOOD, "amount": "0.01", "description": f"line {n}"} for n in range(10_000)]
    assert told(org, claim("huge", lines=many), claim("mate"))["inserted"] == 2
    org.request()
    roomy = org.request(kind="roomy")
    worker.work()
    assert org.states() == {"huge": "rejected", "mate": "exported"}
    assert org.states("roomy") == {"huge": "exported", "mate": "exported"}
    query = "select count(*), sum(amount) from bilag.export_report(%s) where claim_number = 'huge'"
    ((lines, balance),) = org.database.sql(query, roomy)
    assert (lines, balance) == (10_001, 0)


def test_amounts_at_the_edge_add_up(org: Organisation, worker: FakeWorker) -> None:
    most = "999999999999.99"
    org.claim("credit", Line("Taxi", f"-{most}"))
    org.claim("both", Line("Taxi", most), Line("Meals", f"-{most}"), Line("Meals", "-0.01"))
    org.claim("many", *[Line("Taxi", most)] * 50)
    org.claim("nothing", Line("Taxi", most), Line("Taxi", f"-{most}"))
    org.request()
    worker.work()
    assert org.states() == {"credit": "exported", "both": "exported", "many": "exported", "nothing": "rejected"}
    sums = "select claim_number, sum(l.amount) from bilag.export_lines l join bilag.export_items i on i.id = l.item_id"
    sums += " join bilag.expense_claims c on c.id = i.claim_id group by 1"
    assert {total for _, total in org.connection.execute(sums.encode()).fetchall()} == {0}


@pytest.mark.parametrize("currency", ["XXX", "ZZZ", "EUR"])
def test_a_currency_that_is_not_the_ledgers_is_rejected_alone(
    org: Organisation, worker: FakeWorker, currency: str
) -> None:
    org.claim("odd", currency=currency)
    org.claim("mate")
    org.request()
    worker.work()
    assert org.states() == {"mate": "exported", "odd": "rejected"}


@pytest.mark.parametrize("account", ["", " ", "7140\n", "'; --", "æøå", "x" * 5000, "7140\u202e", "NaN"])
def test_a_mapping_to_an_odd_account_is_refused_or_carried_as_it_is(
    org: Organisation, worker: FakeWorker, account: str
) -> None:
    if not account:
        with pytest.raises(psycopg.errors.CheckViolation, match="account_code_is_not_empty"):
            org.map("Odd", account)
        return
    org.map("Odd", account)
    org.claim("odd", Line("Odd", "1"))
    org.claim("mate")
    org.request()
    worker.work()
    assert org.states() == {"mate": "exported", "odd": "exported"}
    assert (account,) in org.database.sql("select account_code from bilag.export_lines")


SETTINGS: list[dict[str, Any]] = [
    {"voucher_number_from": "NaN"},
    {"voucher_number_from": "Infinity"},
    {"voucher_number_from": 1e300},
    {"voucher_number_from": -5},
    {"voucher_number_from": 1.5},
    {"settlement_account": {"code": "2910"}},
    {"settlement_account": None},
    {"currency": "kroner"},
    {"closed_period": "'; --"},
    {"no_such": 1},
    {"posting_date": ["approved"]},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_absurd_settings_are_refused_when_they_are_written(org: Organisation, settings: dict[str, Any]) -> None:
    with refused("KB007"):
        org.configure(**settings)


@pytest.mark.parametrize("day", ["infinity", "-infinity", "5874897-12-31", "0001-01-01 BC", "2200-01-02"])
def test_an_absurd_end_of_a_period_is_refused_in_a_sentence(org: Organisation, day: str) -> None:
    for call in ("request_export(%s, 'xledger', %s)", "preview_export(%s, 'xledger', %s)"):
        with refused("KB001", "period_end"):
            org.connection.execute(f"select bilag.{call}".encode(), [org.id, day])


def test_odd_arguments_are_told_in_a_sentence_or_do_nothing(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    with refused("KB001", "idempotency_key"):
        org.request(key="x" * 100_000)
    with refused("KB002"):
        org.database.sql("select bilag.request_export(%s, %s)", org.id, "'; drop table x; --" * 1000)
    for claims in ({"claim_number": "x"}, "x", 7, None):
        with refused("KB001", "array"):
            org.database.sql(UPSERT, org.id, Jsonb(claims))
    for limit in (-1, 0, 2147483647):
        query = "select bilag.preview_export(%s, 'xledger', null, %s)"
        assert org.database.value(query, org.id, limit)["wouldBook"] == 1
    org.database.sql("select bilag.pause_integration(%s, 'xledger', %s, 'infinity')", org.id, "x" * 1_000_000)
    org.database.sql("select bilag.resume_integration(%s, 'xledger')", org.id)
    with refused("KB001", "over already"):
        org.database.sql("select bilag.pause_integration(%s, 'xledger', 'x', '-infinity')", org.id)
    org.request()
    worker.work()
    assert org.states() == {"C-1": "exported"}


def test_a_plain_insert_meets_the_same_refusals(org: Organisation) -> None:
    for number, columns in {
        "a": {"currency": "kr"}, "b": {"status": "paid"}, "c": {"approved_at": "infinity"}, "x" * 101: {}, "": {},
    }.items():  # fmt: skip
        with pytest.raises(psycopg.errors.CheckViolation) as caught:
            org.claim(number, **columns)
        assert "_" in str(caught.value.diag.constraint_name), "a constraint that is named as a sentence"
    for line in (Line("Taxi", "NaN"), Line("Taxi", "Infinity"), Line("Taxi", "0.001"), Line("x" * 201, "1")):
        with pytest.raises(psycopg.errors.CheckViolation):
            org.claim(f"{uuid4()}", line)
    with pytest.raises(psycopg.errors.CheckViolation, match="plausible"):
        org.claim("d", Line("Taxi", "1", day=date(1, 1, 1)))
