"""What belongs to another organisation is answered as if it were not there: no error tells whether an id exists.

Every function that people may call is found in the catalogue and tried, so one that is added tomorrow is tried too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.fix_bilag import Bilag
from tests.sql.fake_worker import FakeWorker
from tests.sql.verbs import IDS, verbs


def answer(bilag: Bilag, person: UUID, statement: str, values: Sequence[Any]) -> tuple[str, str, str]:
    """What somebody is told: the code, the sentence and the hint, with the ids taken out."""
    with bilag.database.as_user(person) as connection, connection.transaction(force_rollback=True):
        try:
            told = connection.execute(statement.encode(), values).fetchall()
        except psycopg.Error as error:
            words = [error.diag.message_primary or "", error.diag.message_hint or "", error.diag.message_detail or ""]
            text = "|".join(words)
            for value in values:
                text = text.replace(str(value), "…")
            return error.sqlstate or "", text, "refused"
    return "", str(told), "answered"


@pytest.fixture
def foreign(bilag: Bilag, worker: FakeWorker) -> dict[str, str]:
    """Ids of an organisation in which there is something of everything."""
    org = bilag.organisation("Theirs")
    claim = org.claim("C-1")
    run = org.request()
    worker.settle(worker.claim_one(), "unknown")
    database = bilag.database
    database.sql("select bilag_internal.raise_alert('run_failed', 'a', %s, 'xledger', 'words')", org.id)
    database.sql(
        "insert into bilag.export_schedules (org_id, integration_type, frequency) values (%s, 'xledger', 'daily')",
        org.id,
    )
    ask = "select bilag.request_reconciliation(%s, 'xledger', '2026-03-01', '2026-03-31')"
    return {
        "reconciliation_id": str(database.connect().execute(ask, [org.id]).fetchone()[0]),  # type: ignore[index]
        "org_id": str(org.id), "claim_id": str(claim), "run_id": str(run),
        "alert_id": str(database.value("select id from bilag.alerts where org_id = %s limit 1", org.id)),
        "item_id": str(database.value("select id from bilag.export_items where org_id = %s limit 1", org.id)),
        "integration_id": str(database.value("select id from bilag.integration_config where org_id = %s", org.id)),
        "schedule_id": str(database.value("select id from bilag.export_schedules where org_id = %s", org.id)),
        "check_id": str(database.value("select bilag.request_health_check(%s)", org.id)),
    }  # fmt: skip


def missing(name: str) -> str:
    return "99999999" if name in ("alert_id", "item_id") else str(uuid4())


def test_every_function_tells_the_same_of_what_is_another_s_and_of_what_is_not_there(
    bilag: Bilag, foreign: dict[str, str]
) -> None:
    ours = bilag.organisation("Ours")
    tried = 0
    for person in (ours.member(), ours.member("member"), uuid4()):
        for verb in verbs(bilag.database, role="authenticated"):
            named = [name for name in verb.names if name in IDS]
            assert named, (
                f"bilag.{verb.name} has no parameter that names something: put its name into tests/sql/verbs.py"
            )
            there = answer(bilag, person, *verb.call({name: foreign[name] for name in named}))
            nowhere = answer(bilag, person, *verb.call({name: missing(name) for name in named}))
            assert there == nowhere, f"bilag.{verb.name} tells a stranger whether something exists"
            assert there[0] in ("KB002", "KB003"), (verb.name, there)
            tried += 1
    assert tried >= 3 * 16


def test_what_is_another_s_stays_so_when_it_is_named_beside_one_s_own_organisation(
    bilag: Bilag, foreign: dict[str, str]
) -> None:
    """The organisation of a call is no key to another's claim, run or alert."""
    ours = bilag.organisation("Ours")
    person = ours.member()
    for verb in verbs(bilag.database, role="authenticated"):
        named = [name for name in verb.names if name in IDS]
        if "org_id" not in named or len(named) == 1:
            continue
        mixed = {name: str(ours.id) if name == "org_id" else foreign[name] for name in named}
        nowhere = {name: str(ours.id) if name == "org_id" else missing(name) for name in named}
        there = answer(bilag, person, *verb.call(mixed))
        assert there == answer(bilag, person, *verb.call(nowhere)), verb.name


WRITES = {
    "account_mappings": "(org_id, integration_type, category, account_code) values (%s, 'xledger', 'Taxi', '1')",
    "export_schedules": "(org_id, integration_type, frequency) values (%s, 'xledger', 'daily')",
    "export_runs": "(org_id, integration_type) values (%s, 'xledger')",
    "integration_config": (
        "(org_id, integration_type, settings) values (%s, 'xledger', jsonb_build_object('settlement_account', '1'))"
    ),
    "expense_claims": "(org_id, claim_number) values (%s, 'C-1')",
    "expense_claim_lines": "(org_id, claim_id, line_no, category, amount) values (%s, '{claim_id}', 1, 'Taxi', 1)",
}


def test_a_plain_insert_tells_a_stranger_nothing_about_an_organisation(bilag: Bilag, foreign: dict[str, str]) -> None:
    writable = {
        name
        for (name,) in bilag.database.sql(
            "select c.relname from pg_class c where c.relkind = 'r' and c.relnamespace = 'bilag'::regnamespace"
            " and has_any_column_privilege('authenticated', c.oid, 'insert')"
        )
    }
    assert writable == set(WRITES)
    person = bilag.organisation("Ours").member()
    for table, values in WRITES.items():
        insert = f"insert into bilag.{table} {values.replace('{claim_id}', foreign['claim_id'])} returning 1"
        there = answer(bilag, person, insert, [foreign["org_id"]])
        assert there == answer(bilag, person, insert, [str(uuid4())]), table
        assert there[0] == "42501", table


def test_a_line_of_one_s_own_organisation_is_not_put_onto_another_s_claim(
    bilag: Bilag, foreign: dict[str, str]
) -> None:
    ours = bilag.organisation("Ours")
    insert = (
        "insert into bilag.expense_claim_lines (org_id, claim_id, line_no, category, amount)"
        " values (%s, %s, 1, 'Taxi', 1) returning 1"
    )
    there = answer(bilag, ours.member(), insert, [ours.id, foreign["claim_id"]])
    assert there == answer(bilag, ours.member(), insert, [ours.id, uuid4()])
    assert there[0] == "42501"


def test_updates_and_deletions_reach_no_row_of_another_organisation(bilag: Bilag, foreign: dict[str, str]) -> None:
    person = bilag.organisation("Ours").member()
    column = {
        "account_mappings": "account_code = '1'", "export_schedules": "enabled = false",
        "integration_config": "enabled = false", "expense_claims": "claimant_name = 'x'",
        "expense_claim_lines": "description = 'x'",
    }  # fmt: skip
    for table, change in column.items():
        for statement in (f"update bilag.{table} set {change}", f"delete from bilag.{table}"):
            if statement.startswith("delete") and table == "integration_config":
                continue
            where = f"{statement} where org_id = %s returning 1"
            assert answer(bilag, person, where, [foreign["org_id"]]) == ("", "[]", "answered"), statement
