"""Forgetting a person: the name goes from wherever people read it; what was booked, and what is not settled, stays."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.fix_bilag import Bilag, Line, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused

NAME = "Kari Nordmann-Åsen"
KARI = {"claimant_name": NAME, "claimant_reference": "K-17", "documentation_url": "https://files.example/1"}
CALL = "select bilag.anonymize_claimant(%s, %s)"


def forget(org: Organisation, reference: str = "K-17") -> dict[str, Any]:
    return dict(org.database.value(CALL, org.id, reference))


def told(org: Organisation, worker: FakeWorker, number: str = "C-1", **columns: Any) -> UUID:
    """A booked claim whose lines and notes name the person."""
    lines = (
        Line("Taxi", "100.50", description=f"Taxi for {NAME} til St. Olavs"),
        Line("Meals", "7", description="karis lunsj"),
    )
    claim = org.claim(number, *lines, **{**KARI, "claimant_user_id": uuid4(), **columns})
    org.request()
    worker.work()
    return claim


def everything(database: Database) -> dict[str, str]:
    """All text of every table of ours, by table."""
    tables = database.sql(
        "select c.oid::regclass::text from pg_class c where c.relkind = 'r'"
        " and c.relnamespace::regnamespace::text in ('bilag', 'bilag_internal', 'pgmq')"
    )
    return {
        table: str(
            database.connect()
            .execute(f"select coalesce(string_agg(t::text, '|'), '') from {table} t".encode())
            .fetchone()
        )
        for (table,) in tables
    }


def naming(database: Database, *words: str) -> set[str]:
    return {
        table for table, text in everything(database).items() if any(word.lower() in text.lower() for word in words)
    }


def test_the_name_goes_from_claims_lines_vouchers_and_what_was_booked(org: Organisation, worker: FakeWorker) -> None:
    claim = told(org, worker)
    assert {"bilag.expense_claims", "bilag.export_items", "bilag.export_lines"} <= naming(org.database, "kari")
    assert forget(org) == {"claims": 1, "vouchers": 1}
    assert naming(org.database, "kari", "nordmann", "Åsen", "K-17") == set()
    assert org.database.sql(
        "select claimant_name, claimant_user_id, claimant_reference, documentation_url, status,"
        " anonymized_at is not null from bilag.expense_claims where id = %s",
        claim,
    ) == [(None, None, None, "https://files.example/1", "approved", True)]
    lines = org.database.sql("select description from bilag.export_lines order by line_no")
    assert [text for (text,) in lines] == ["Taxi for … til St. Olavs", "… lunsj", "Expense claim C-1"]


def test_what_was_booked_stays_as_it_was_booked(org: Organisation, worker: FakeWorker) -> None:
    told(org, worker)
    facts = (
        "select i.voucher_number, i.reference, i.external_id, i.posting_date, i.amount, i.content_sha256, i.state,"
        " l.line_no, l.account_code, l.amount, l.currency, l.vat_code, l.dimensions, l.subledger,"
        " v.line ->> 'account', v.line ->> 'amount'"
        " from bilag.export_items i join bilag.export_lines l on l.item_id = i.id"
        " cross join lateral jsonb_array_elements(i.voucher -> 'lines') as v (line)"
        " where (v.line ->> 'lineNo')::integer = l.line_no order by l.line_no"
    )
    before = org.connection.execute(facts.encode()).fetchall()
    audited = org.database.sql("select sequence, hash from bilag.bufdir_export_audit_log order by 1")
    forget(org)
    assert org.connection.execute(facts.encode()).fetchall() == before
    after = org.database.sql("select sequence, hash from bilag.bufdir_export_audit_log order by 1")
    assert after[:-1] == audited
    assert org.database.value("select bilag.verify_audit(%s)", org.id) is None
    org.request()
    worker.work()
    assert org.states() == {"C-1": "exported"}
    assert org.database.value("select count(*) from bilag.export_items") == 1, "nothing is booked again"


def test_a_subledger_that_was_booked_stays_for_it_is_an_account_of_the_books(
    org: Organisation, worker: FakeWorker
) -> None:
    org.configure(settlement="subledger")
    told(org, worker)
    assert forget(org) == {"claims": 1, "vouchers": 1}
    assert org.database.value("select claimant_reference from bilag.expense_claims") == "K-17"
    assert org.database.value("select voucher ->> 'claimantReference' from bilag.export_items") == "K-17"
    assert org.database.value("select subledger from bilag.export_lines where subledger is not null") == "K-17"
    assert naming(org.database, "kari", "nordmann") == set()


def test_the_name_goes_from_what_logs_alerts_refusals_runs_and_exclusions_say(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    claim = told(org, worker)
    database = bilag.database
    text = f"Refused: {NAME.upper()} (kari.nordmann@lag.no) is unknown."
    database.sql("select bilag_internal.raise_alert('run_failed', 'a', %s, 'xledger', %s, %s)", org.id, text,
                 Jsonb({"said": [text, {"deep": f"a\nKari\t{NAME}"}]}))  # fmt: skip
    database.sql("update bilag.alerts set resolution = %s", f"{NAME} was told")
    database.sql(
        "insert into bilag.integration_run_logs (org_id, correlation_id, adapter_name, attempt_number, error_message)"
        " values (%s, gen_random_uuid(), 'xledger', 1, %s)",
        org.id,
        text,
    )
    database.sql("update bilag.export_runs set note = %s, error = %s", f"asked by {NAME}", Jsonb({
        "correlationId": str(uuid4()), "errorClass": "permanent", "httpStatus": 422, "adapterName": "xledger",
        "attempt": 1, "message": text, "isRetryable": False}))  # fmt: skip
    database.sql(
        "insert into bilag.claim_exclusions (integration_id, claim_id, org_id, reason)"
        " select id, %s, org_id, %s from bilag.integration_config",
        claim,
        f"{NAME} paid twice",
    )
    asked = database.value("select bilag.request_reconciliation(%s, 'xledger', '2026-01-01', '2026-03-31')", org.id)
    database.sql(
        "insert into bilag.reconciliation_findings"
        " (reconciliation_id, item_id, org_id, integration_id, finding, message, found_at, resolution)"
        " select %s, id, org_id, integration_id, 'unknown', %s, now(), %s from bilag.export_items",
        asked,
        text,
        f"{NAME} says it is there",
    )
    database.sql("update bilag.export_items set message = %s, reason_params = %s", text, Jsonb({"message": text}))
    org.claim("refused", Line("Sauna", "1", description=f"Sauna, {NAME}"), status="rejected", **KARI)
    forget(org)
    assert naming(database, "kari", "nordmann") == set()
    assert (
        database.value("select error ->> 'message' from bilag.export_runs limit 1")
        == "Refused: … (….…@lag.no) is unknown."
    )
    assert database.value("select error ->> 'httpStatus' from bilag.export_runs limit 1") == "422"


def test_a_link_that_names_the_person_goes(org: Organisation, worker: FakeWorker) -> None:
    told(org, worker, documentation_url="https://files.example/kari-nordmann-asen.pdf")
    forget(org)
    assert org.database.value("select documentation_url from bilag.expense_claims") is None
    assert org.database.value("select voucher ->> 'documentationUrl' from bilag.export_items") is None


def test_others_are_left_alone(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    told(org, worker)
    told(org, worker, "C-2", claimant_name="Ola Hansen", claimant_reference="K-18")
    other = bilag.organisation("Other")
    told(other, worker)
    forget(org)
    names = org.database.sql("select org_id, claim_number, claimant_name from bilag.expense_claims order by 2, 3")
    assert sorted(names, key=str) == sorted(
        [(org.id, "C-1", None), (org.id, "C-2", "Ola Hansen"), (other.id, "C-1", NAME)], key=str
    )
    assert org.database.value("select count(*) from bilag.export_lines where description like 'Taxi for Kari%%'") == 2


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("draft", None),
        ("submitted", None),
        ("approved", None),
        ("approved", "accepted"),
        ("approved", "unknown"),
        ("approved", "rejected"),
    ],
)
def test_nothing_is_forgotten_while_a_claim_is_not_settled(
    org: Organisation, worker: FakeWorker, status: str, outcome: str | None
) -> None:
    told(org, worker)
    org.claim("C-2", status=status, **KARI)
    if outcome:
        org.request()
        worker.settle(worker.claim_one(), outcome)
    before = everything(org.database)
    with refused("KB004", "1 of the claims are not settled: C-2"):
        org.database.sql(CALL, org.id, "K-17")
    assert everything(org.database) == before


def test_what_will_never_be_booked_is_settled(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("rejected", status="rejected", **KARI)
    org.claim("withdrawn", status="withdrawn", **KARI)
    org.claim("early", approved_at="2026-01-01", **KARI)
    excluded, by_hand = org.claim("excluded", **KARI), org.claim("by hand", **KARI)
    bilag.database.sql("select bilag.exclude_claim(%s, 'xledger', 'never')", excluded)
    bilag.database.sql("select bilag.mark_booked(%s, 'xledger', 'V-1', null)", by_hand)
    assert forget(org)["claims"] == 5


def test_a_claim_that_waits_for_a_copy_is_not_settled(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    bilag.type("copy")
    org.integration("copy", books=False)
    told(org, worker)
    with refused("KB004", "waits for an export"):
        org.database.sql(CALL, org.id, "K-17")
    bilag.database.sql("update bilag.integration_config set enabled = false where integration_type = 'copy'")
    assert forget(org)["claims"] == 1


def test_once_more_changes_nothing_and_leaves_no_trace(org: Organisation, worker: FakeWorker) -> None:
    org.configure(settlement="subledger")
    told(org, worker)
    forget(org)
    before = everything(org.database)
    assert forget(org) == {"claims": 0, "vouchers": 0}
    assert forget(org, "nobody") == {"claims": 0, "vouchers": 0}
    assert everything(org.database) == before


def test_it_is_audited_without_naming_anybody(org: Organisation, worker: FakeWorker) -> None:
    claim = told(org, worker)
    forget(org)
    rows = org.database.sql(
        "select action, details from bilag.bufdir_export_audit_log where action = 'claimant.anonymized'"
    )
    assert rows == [("claimant.anonymized", {"claims": 1, "vouchers": 1, "claimIds": [str(claim)]})]


def test_only_finance_of_the_organisation_and_the_service_forget(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    told(org, worker)
    for person in (org.member("member"), bilag.organisation("Other").member()):
        with bilag.database.as_user(person) as connection, refused("KB003"):
            connection.execute(CALL, [org.id, "K-17"])
    with refused("KB001", "empty"):
        org.database.sql(CALL, org.id, " ")
    with bilag.database.as_user(org.member()) as connection:
        assert connection.execute(CALL, [org.id, "K-17"]).fetchone() == ({"claims": 1, "vouchers": 1},)


def test_nobody_else_takes_the_name_out_of_an_approved_claim(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    claim = told(org, worker)
    for change in ("claimant_name = null", "documentation_url = null"):
        with (
            bilag.database.as_user(uuid4(), "service_role") as connection,
            refused("KB006", "approved and does not change"),
        ):
            connection.execute("select set_config('bilag.anonymizing', %s, true)", [str(claim)])
            connection.execute(f"update bilag.expense_claims set {change}".encode())
    forget(org)
    with refused("KB006"):
        bilag.database.sql("update bilag.expense_claims set claimant_name = 'Kari'")
    assert bilag.database.value("select count(*) from bilag_internal.anonymizing") == 0


@pytest.mark.parametrize(
    ("name", "text", "left"),
    [
        ("Per Li", "Per Li spiste per person", "… spiste per person"),
        ("Per Li", "til Li, Per og Lise", "til …, … og Lise"),
        ("Bjørn Østby", "BJØRN østby; Bjørnar", "…; Bjørnar"),
        ("Åse (leder) D'Arc+", "Åses tur, D'Arc+", "… tur, …"),
        ("a.b* [x", "a.b* axb", "… axb"),
        ("Ola Nordmann", "Ola  Nordmann's taxi, nordmann", "… taxi, …"),
        ("\\", "a\\b", "a\\b"),
    ],
)  # fmt: skip
def test_a_name_is_found_as_people_write_it(catalogue: Database, name: str, text: str, left: str) -> None:
    found = catalogue.value(
        "select bilag_internal.forget(%s::text, bilag_internal.name_pattern(array[%s]))", text, name
    )
    assert found == left
