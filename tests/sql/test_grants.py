"""What no role may do, and which columns it may not write. Who may do what is in test_matrix.py."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker
from worker.migrate import migrate

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


KNOWN = (
    "select x.object, a.grantee::regrole::text, a.privilege_type from ("
    "  select oid::regprocedure::text as object, proacl as acl, pronamespace as home from pg_proc"
    "  union all select oid::regclass::text, relacl, relnamespace from pg_class"
    "  union all select nspname, nspacl, oid from pg_namespace"
    "  union all select c.oid::regclass || '.' || t.attname, t.attacl, c.relnamespace"
    "    from pg_attribute t join pg_class c on c.oid = t.attrelid) as x, aclexplode(x.acl) as a"
    " where x.home in ('bilag'::regnamespace, 'bilag_internal'::regnamespace) order by 1, 2, 3"
)
BY_HAND = [
    "grant execute on function bilag.pause_everything(text) to authenticated",
    "grant execute on function bilag_internal.tick() to public",
    "revoke execute on function bilag.request_export(uuid, text, date, text) from authenticated",
    "grant select on bilag.dead_letters to authenticated",
    "grant select on bilag.webhook to authenticated",
    "grant update (booked) on bilag.expense_claims to authenticated",
    "revoke select on bilag.expense_claims from authenticated",
    "grant usage on schema bilag to anon",
    "grant usage on schema bilag_internal to authenticated",
]


@pytest.mark.parametrize("by_hand", BY_HAND)
def test_what_was_granted_or_revoked_by_hand_is_drift_until_it_is_migrated_back(
    database: Database, by_hand: str
) -> None:
    before = database.sql(KNOWN)
    database.connect().execute(by_hand.encode())
    assert migrate(database.dsn, check=True).drift
    migrate(database.dsn)
    assert database.sql(KNOWN) == before
    assert not migrate(database.dsn, check=True).drift


def test_default_privileges_of_the_database_open_nothing(catalogue: Database, empty_database: Database) -> None:
    """An application that exposes schemas of its own has often said so for all that is still to come."""
    for what in ("functions", "tables", "sequences", "schemas"):
        empty_database.connect().execute(
            f"alter default privileges grant all on {what} to anon, authenticated".encode()
        )
    migrate(empty_database.dsn)
    assert empty_database.sql(KNOWN) == catalogue.sql(KNOWN)


def test_what_an_application_put_beside_ours_keeps_its_privileges(database: Database) -> None:
    database.sql("create view bilag.beside as select 1 as one")
    database.sql("create function bilag.beside() returns int language sql as 'select 1'")
    database.sql("grant select on bilag.beside to authenticated, service_role")  # who reads everything
    before = database.sql(KNOWN)
    database.sql("grant usage on schema bilag to anon")
    migrate(database.dsn)
    assert database.sql(KNOWN) == before


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
