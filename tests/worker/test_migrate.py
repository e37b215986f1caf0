"""``bilag migrate`` on the project's own SQL: from nothing to everything, and then nothing more."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg import conninfo

from dev.postgres.cluster import free_port
from tests.fix_migrate import Source
from tests.fix_postgres import Database
from worker.migrate import MigrationError, components, connection, migrate
from worker.places import MIGRATIONS

OBJECTS = """
    select c.oid::regclass::text, c.relkind::text, c.xmin::text
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('bilag', 'bilag_internal', 'bilag_hooks', 'vault', 'pgmq')
    union all
    select p.oid::regprocedure::text, 'f', p.xmin::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname in ('bilag', 'bilag_internal', 'bilag_hooks', 'vault', 'pgmq')
    order by 1
"""


def refused(dsn: str) -> str:
    with pytest.raises(MigrationError) as raised:
        migrate(dsn)
    return str(raised.value)


def test_an_empty_database_gets_everything_and_then_nothing_more(empty_database: Database) -> None:
    first = migrate(empty_database.dsn)
    assert first.applied == tuple(sorted(path.name for path in MIGRATIONS.glob("*.sql")))
    assert first.verbs_applied
    assert first.dropped == ()

    before = empty_database.sql(OBJECTS)
    second = migrate(empty_database.dsn)
    assert not second.changed
    assert empty_database.sql(OBJECTS) == before
    assert migrate(empty_database.dsn, check=True).drift == ()


def test_applying_the_rooms_again_changes_no_table_view_policy_or_trigger(empty_database: Database) -> None:
    lasting = """
        select 'pg_policy'::regclass, oid, xmin::text from pg_policy
        union all select 'pg_trigger'::regclass, oid, xmin::text from pg_trigger
        union all select 'pg_rewrite'::regclass, oid, xmin::text from pg_rewrite
        union all select 'pg_proc'::regclass, oid, '' from pg_proc
        order by 1, 2
    """
    migrate(empty_database.dsn)
    before = empty_database.sql(lasting)
    assert migrate(empty_database.dsn, announcements=[]).verbs_applied
    assert empty_database.sql(lasting) == before


def test_the_adapters_are_announced(database: Database) -> None:
    assert "xledger" in [row[0] for row in database.sql("select integration_type from bilag.integration_types")]


def test_check_of_an_empty_database_says_what_is_missing_and_makes_nothing(
    source: Source, empty_database: Database
) -> None:
    drift = source.migrate(empty_database, check=True).drift
    assert "migrations/0001_ground.sql is not applied." in drift
    assert "migrations/0002_claims.sql is not applied." in drift
    assert "The functions, views and policies of sql/ were never applied." in drift
    assert empty_database.value("select to_regnamespace('bilag_internal')") is None


@pytest.mark.parametrize(
    ("by_hand", "named"),
    [
        ("create or replace function bilag.f() returns int language sql as 'select 2'", "function bilag.f()"),
        ("drop function bilag.f()", "function bilag.f()"),
        ("grant execute on function bilag.f() to anon", "function bilag.f()"),
        ("alter function bilag.f() set search_path = public", "function bilag.f()"),
        ("create or replace view bilag.v as select id, owner from bilag.claims where id > 0", "view bilag.v"),
        ("alter view bilag.v reset (security_invoker)", "view bilag.v"),
        ("alter policy p on bilag.claims using (true)", "policy p on bilag.claims"),
        ("drop policy p on bilag.claims", "policy p on bilag.claims"),
        ("alter table bilag.claims disable trigger t", "trigger t on bilag.claims"),
        ("drop trigger t on bilag.claims", "trigger t on bilag.claims"),
    ],
)
def test_what_was_changed_by_hand_is_drift_until_it_is_migrated_back(
    source: Source, empty_database: Database, by_hand: str, named: str
) -> None:
    source.room(
        "10_a.sql",
        """
        create or replace function bilag.f() returns int language sql as 'select 1';
        create or replace view bilag.v with (security_invoker = true) as select id, owner from bilag.claims;
        create policy p on bilag.claims using (id > 0);
        create trigger t before update on bilag.claims
          for each row execute function suppress_redundant_updates_trigger();
        revoke all on all functions in schema bilag from public, anon;
    """,
    )
    states = "select kind, identity, state from bilag_internal.verb_objects order by 1, 2"
    source.migrate(empty_database)
    before = empty_database.sql(states)

    empty_database.sql(by_hand)
    assert source.migrate(empty_database, check=True).drift == (f"Changed by hand: {named}.",)

    assert source.migrate(empty_database).verbs_applied
    assert source.migrate(empty_database, check=True).drift == ()
    assert empty_database.sql(states) == before


@pytest.mark.parametrize(
    "setting",
    [
        "intervalstyle = 'sql_standard'", "datestyle = 'SQL, DMY'", "timezone = 'Asia/Kolkata'",
        "extra_float_digits = -5", "quote_all_identifiers = on", "bytea_output = 'escape'",
    ],
)  # fmt: skip
def test_how_a_session_shows_things_is_no_drift(source: Source, empty_database: Database, setting: str) -> None:
    source.room(
        "10_a.sql",
        """
        create or replace view bilag.v as select id, interval '2 days 03:00' as i, 0.1::float8 as f,
          timestamptz '2026-02-03 04:05+00' as t, date '2026-02-03' as d, '\\xff'::bytea as b, 'a\b'::text as s
        from bilag.claims;
    """,
    )
    source.migrate(empty_database)
    name = empty_database.value("select current_database()")
    empty_database.connect().execute(f'alter database "{name}" set {setting}'.encode())
    assert source.migrate(empty_database, check=True).drift == ()
    assert not source.migrate(empty_database).verbs_applied


def test_other_roles_privileges_are_no_drift(source: Source, empty_database: Database) -> None:
    source.room("10_a.sql", "create or replace view bilag.v as select id from bilag.claims;")
    source.migrate(empty_database)
    empty_database.sql("grant select on bilag.v to pg_monitor")
    assert source.migrate(empty_database, check=True).drift == ()


def test_an_extension_that_came_later_applies_the_rooms_again(source: Source, empty_database: Database) -> None:
    source.migrate(empty_database)
    empty_database.sql("update bilag_internal.verbs set facts = 'pg_cron ' || facts")
    assert source.migrate(empty_database, check=True).drift == (
        "The tables, their privileges or the extensions are others than when sql/ was applied.",
    )
    assert source.migrate(empty_database).verbs_applied


def test_a_database_that_does_not_answer_is_one_sentence() -> None:
    port = free_port()
    assert refused(f"postgresql://me:hush@127.0.0.1:{port}/bilag") == (
        f'The database at 127.0.0.1:{port} cannot be reached: connection to server at "127.0.0.1", port {port} failed: '
        "Connection refused."
    )


def test_a_database_that_does_not_exist_is_one_sentence(empty_database: Database) -> None:
    said = refused(conninfo.make_conninfo(empty_database.dsn, dbname="no_such"))
    assert said.startswith("The database at ")
    assert said.endswith('database "no_such" does not exist.')


@pytest.mark.parametrize(
    "dsn", ["postgresql//me:hush@host", "host=x password=hush oops", "postgresql://me:hush%zz@host"]
)
def test_an_address_that_is_none_is_refused_without_repeating_it(dsn: str) -> None:
    assert refused(dsn) == "The database's address is neither a postgresql:// URL nor a libpq connection string."


def test_a_postgres_that_is_too_old_is_refused(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "OLDEST", 99)
    assert refused(empty_database.dsn).endswith("; Bilag needs 99 or newer.")


def test_a_standby_is_refused(empty_database: Database) -> None:
    read_only = conninfo.make_conninfo(empty_database.dsn, options="-c default_transaction_read_only=on")
    assert "database is read-only" in refused(read_only)


def test_a_role_that_may_not_make_schemas_is_told_who_may(source: Source, empty_database: Database) -> None:
    empty_database.sql("drop role if exists nobody_special")
    empty_database.sql("create role nobody_special login password 'x'")
    with pytest.raises(MigrationError) as raised:
        source.migrate(conninfo.make_conninfo(empty_database.dsn, user="nobody_special", password="x"))
    said = str(raised.value)
    assert said.startswith("permission denied for database ")
    assert said.endswith(": run bilag migrate as the role that owns the database and Bilag's schemas.")


def test_another_role_than_the_owner_is_told_who_may(source: Source, empty_database: Database) -> None:
    source.migrate(empty_database)
    empty_database.sql("drop role if exists nobody_special")
    empty_database.sql("create role nobody_special login password 'x'")
    with pytest.raises(MigrationError, match=r"^permission denied for .*: run bilag migrate as the role that owns"):
        source.migrate(conninfo.make_conninfo(empty_database.dsn, user="nobody_special", password="x"))


def test_a_server_without_any_vault_is_told_what_to_install(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty_database.sql("drop extension if exists supabase_vault cascade")
    monkeypatch.setattr(components, "_available", lambda _connection, name: name == "pgmq")
    assert refused(empty_database.dsn).startswith("The server has neither supabase_vault nor pgcrypto")


def test_a_schema_of_the_vault_s_name_is_not_taken_for_it(empty_database: Database) -> None:
    empty_database.sql("drop extension if exists supabase_vault cascade")
    empty_database.sql("create schema if not exists vault")
    assert refused(empty_database.dsn).startswith("The schema vault is not Supabase's Vault")


def test_a_folder_that_is_not_there_is_one_sentence(empty_database: Database, tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="holds no migrations"):
        migrate(empty_database.dsn, migrations=tmp_path / "nowhere")
