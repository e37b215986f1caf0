"""What no role may do, and which columns it may not write. Who may do what is in test_matrix.py."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker

ROLES = ["anon", "authenticated", "service_role", "bilag_worker", "bilag_observer"]


def test_public_executes_nothing(catalogue: Database) -> None:
    rows = catalogue.sql(
        "select p.oid::regprocedure::text"
        " from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a"
        " where p.pronamespace::regnamespace::text in ('bilag', 'bilag_internal', 'bilag_hooks') and a.grantee = 0"
    )
    assert rows == []


@pytest.mark.parametrize(
    ("role", "schemas"),
    [
        ("anon", set()),
        ("authenticated", {"bilag", "bilag_hooks"}),
        ("service_role", {"bilag", "bilag_hooks"}),
        ("bilag_worker", {"bilag_internal"}),
        ("bilag_observer", {"bilag"}),
    ],
)
def test_each_role_uses_exactly_its_schemas(catalogue: Database, role: str, schemas: set[str]) -> None:
    rows = catalogue.sql(
        "select nspname from pg_namespace where nspname in ('bilag', 'bilag_internal', 'bilag_hooks', 'pgmq', 'vault')"
        " and has_schema_privilege(%s, oid, 'usage')",
        role,
    )
    assert {name for (name,) in rows} == schemas


@pytest.mark.parametrize("role", ["anon", "bilag_worker"])
def test_anon_and_the_worker_have_no_table_at_all(catalogue: Database, role: str) -> None:
    privileges = ["select", "insert", "update", "delete", "truncate", "references", "trigger"]
    rows = catalogue.sql(
        "select c.oid::regclass::text from pg_class c where c.relkind in ('r', 'v', 'p')"
        " and c.relnamespace::regnamespace::text in ('bilag', 'bilag_internal', 'pgmq', 'vault')"
        " and (has_table_privilege(%s, c.oid, %s) or has_any_column_privilege(%s, c.oid, 'select, insert, update'))",
        role,
        ", ".join(privileges),
        role,
    )
    assert rows == []


def writes(catalogue: Database, role: str, privilege: str) -> set[str]:
    check = "has_table_privilege" if privilege in ("delete", "truncate") else "has_any_column_privilege"
    rows = catalogue.connect().execute(
        f"select c.relname from pg_class c where c.relkind in ('r', 'v') and c.relnamespace = 'bilag'::regnamespace"
        f" and {check}(%s, c.oid, %s)".encode(),
        [role, privilege],
    )
    return {name for (name,) in rows.fetchall()}


@pytest.mark.parametrize("role", ROLES)
def test_nobody_truncates_and_observers_write_nothing(catalogue: Database, role: str) -> None:
    assert writes(catalogue, role, "truncate") == set()
    for privilege in ("insert", "update", "delete"):
        assert writes(catalogue, "bilag_observer", privilege) == set()


def test_no_person_says_that_a_claim_is_booked_or_which_transaction_approved_it(catalogue: Database) -> None:
    for role in ("authenticated", "service_role"):
        for column in ("booked", "approved_in"):
            for privilege in ("insert", "update"):
                allowed = catalogue.value(
                    "select has_column_privilege(%s, 'bilag.expense_claims', %s, %s)", role, column, privilege
                )
                assert not allowed, (role, column, privilege)


def test_a_run_is_inserted_by_four_columns_only(catalogue: Database) -> None:
    for role in ("authenticated", "service_role"):
        rows = catalogue.sql(
            "select attname from pg_attribute where attrelid = 'bilag.export_runs'::regclass and attnum > 0"
            " and not attisdropped and has_column_privilege(%s, attrelid, attnum, 'insert')",
            role,
        )
        assert {name for (name,) in rows} == {"org_id", "integration_type", "period_end", "idempotency_key"}


def test_service_writes_claims_as_an_application_server_does(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    with bilag.database.as_user(uuid4(), "service_role") as connection:
        row = connection.execute(
            "insert into bilag.expense_claims (org_id, claim_number, status) values (%s, %s, 'approved') returning id",
            [org.id, "C-1"],
        ).fetchone()
        assert row is not None
        connection.execute(
            "insert into bilag.expense_claim_lines (org_id, claim_id, line_no, category, amount)"
            " values (%s, %s, 1, 'Taxi', 5)",
            [org.id, row[0]],
        )
        connection.execute("insert into bilag.export_runs (org_id, integration_type) values (%s, 'xledger')", [org.id])
    worker.work()
    assert org.states() == {"C-1": "exported"}
