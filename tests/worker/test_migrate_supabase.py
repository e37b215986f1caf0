"""On Supabase's terms: a ``postgres`` that is no superuser, a Vault of somebody else's, and files for ``db push``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg import errors, sql

from dev.postgres import Server, throw_away
from tests.fix_migrate import Source
from worker.migrate import MigrationError, migrate, supabase
from worker.migrate.nouns import read_nouns
from worker.migrate.rooms import read_rooms
from worker.migrate.statements import split
from worker.places import MIGRATIONS

ROLES = """
    create role app_owner login nosuperuser createdb createrole bypassrls;
    create role platform_admin superuser;
    create role anon nologin noinherit;
    create role authenticated nologin noinherit;
    create role service_role nologin noinherit bypassrls;
    grant anon, authenticated, service_role to app_owner;
    grant pg_monitor to app_owner;
"""
"""What Supabase calls ``postgres`` is ``app_owner`` here, ``supabase_admin`` is ``platform_admin``."""

PLATFORM = """
    set role platform_admin;
    create schema extensions;
    create extension pgcrypto with schema extensions;
    create schema auth;
    create function auth.uid() returns uuid language sql stable as $$
      select (current_setting('request.jwt.claims', true)::jsonb ->> 'sub')::uuid $$;
    create function auth.role() returns text language sql stable as $$ select 'theirs'::text $$;
    create function auth.jwt() returns jsonb language sql stable as $$ select null::jsonb $$;
    grant usage on schema auth to app_owner, anon, authenticated, service_role;
    {vault};
    grant usage on schema vault to app_owner;
    grant select, delete on vault.secrets, vault.decrypted_secrets to app_owner;
    grant execute on function vault.create_secret, vault.update_secret, vault.open_secret to app_owner;
    reset role;
"""

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def platform() -> Iterator[Server]:
    """A server of ours, with the roles of Supabase's and no superuser among those that migrate."""
    with throw_away(ours=True) as server:
        with server.connect() as connection:
            for statement in split(ROLES, "roles"):
                with suppress(errors.DuplicateObject):  # Supabase's own image has three of them
                    connection.execute(statement.text.encode())
        yield server


@pytest.fixture
def dsn(platform: Server) -> str:
    """The address of a database as ``app_owner``, whose Vault belongs to ``platform_admin``."""
    name = f"project_{next(numbers)}"
    platform.create_database(name)
    with platform.connect() as connection:
        connection.execute(sql.SQL("alter database {} owner to app_owner").format(sql.Identifier(name)))
    with platform.connect(name) as connection:
        vault = (MIGRATIONS / "0002_vault.sql").read_text(encoding="utf-8")
        connection.execute(PLATFORM.replace("{vault}", vault).encode())
    return platform.dsn(name, "app_owner")


def push(dsn: str, files: tuple[Path, ...]) -> None:
    """What ``supabase db push`` does: each file in its own transaction, one statement after the other.

    The extensions are left out: this server has them already, by another way.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        for file in files:
            with connection.transaction():
                for statement in split(file.read_text(encoding="utf-8"), file.name):
                    if statement.words[:2] != ("create", "extension"):
                        connection.execute(statement.text.encode())


def rows(dsn: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def test_the_owner_of_a_database_migrates_without_being_a_superuser(dsn: str) -> None:
    first = migrate(dsn)
    assert first.verbs_applied
    assert "pgcrypto (extension)" not in first.prepared
    assert not migrate(dsn).changed
    assert migrate(dsn, check=True).drift == ()
    schemas = (
        "select nspname::text, nspowner::regrole::text from pg_namespace where nspname in ('bilag', 'vault') order by 1"
    )
    assert rows(dsn, schemas) == [("bilag", "app_owner"), ("vault", "platform_admin")]


def test_what_the_platform_has_is_left_as_it_is(dsn: str) -> None:
    migrate(dsn)
    assert rows(dsn, "select auth.role()") == [("theirs",)]
    assert rows(dsn, "select count(*) from pg_proc where pronamespace = 'auth'::regnamespace") == [(3,)]


def test_the_worker_s_role_can_be_taken_by_who_migrated(dsn: str) -> None:
    migrate(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection, connection.transaction():
        connection.execute("set local role bilag_worker")
        with pytest.raises(errors.InsufficientPrivilege, match="bilag"):
            connection.execute("select * from bilag.export_runs")


def test_queues_can_be_used_by_who_migrated(dsn: str) -> None:
    migrate(dsn)
    rows(dsn, "select pgmq.send('bilag_exports', '{}')")
    assert rows(dsn, "select pgmq.purge_queue('bilag_exports')") == [(1,)]


def test_the_platform_s_vault_can_be_used_by_who_migrated(dsn: str) -> None:
    migrate(dsn)
    rows(dsn, "select vault.create_secret('hush', 'a name')")
    assert rows(dsn, "select decrypted_secret from vault.decrypted_secrets") == [("hush",)]


def test_what_is_written_for_db_push_is_what_migrate_would_do(dsn: str, platform: Server, tmp_path: Path) -> None:
    objects = "select kind, identity, state from bilag_internal.verb_objects order by 1, 2"
    migrated = platform.create_database(f"project_{next(numbers)}")
    migrate(migrated)
    with psycopg.connect(dsn, autocommit=True) as connection:
        from pgmq.install import get_embedded_install_sql

        connection.execute(get_embedded_install_sql().encode())

    written = migrate("no database is asked", to=tmp_path).written
    push(dsn, written)

    assert migrate(dsn, check=True).drift == ()
    assert not migrate(dsn).changed
    assert rows(dsn, objects) == rows(migrated, objects)
    assert rows(dsn, "select to_regnamespace('bilag_migrate')") == [(None,)]
    assert migrate("no database is asked", to=tmp_path).written == ()


def test_only_what_is_new_is_written_and_after_what_is_there(source: Source, dsn: str, tmp_path: Path) -> None:
    folder = tmp_path / "supabase"
    folder.mkdir()
    (folder / "29990101000000_theirs.sql").write_text("select 1;")
    source.room("10_a.sql", "create function bilag.f() returns int language sql as $$ select 1 $$;")
    first = source.migrate("", to=folder).written
    assert [path.name for path in first] == [
        "29990101000001_bilag_extensions.sql",
        "29990101000002_bilag_0001_ground.sql",
        "29990101000003_bilag_0002_claims.sql",
        "29990101000004_bilag_verbs.sql",
    ]

    source.noun("0003_more.sql", "alter table bilag.claims add note text;")
    source.room(
        "10_a.sql", "create function bilag.g(a int) returns text language sql as $bilag$ select '$$\\'||a $bilag$;"
    )
    second = source.migrate("", to=folder).written
    assert [path.name for path in second] == [
        "29990101000005_bilag_0003_more.sql",
        "29990101000006_bilag_verbs.sql",
    ]

    push(dsn, first)
    assert source.migrate(dsn, check=True).drift != ()
    push(dsn, second)
    assert rows(dsn, "select identity from bilag_internal.verb_objects") == [("bilag.g(integer)",)]
    assert rows(dsn, r"select bilag.g(1)") == [("$$\\1",)]


def test_with_a_new_noun_the_rooms_are_written_again(source: Source, tmp_path: Path) -> None:
    source.migrate("", to=tmp_path)
    source.noun("0003_more.sql", "create table bilag.more ();")
    written = source.migrate("", to=tmp_path).written
    assert [path.name.partition("_")[2] for path in written] == ["bilag_0003_more.sql", "bilag_verbs.sql"]
    assert source.migrate("", to=tmp_path).written == ()


def test_without_files_of_others_the_clock_names_them(source: Source, tmp_path: Path) -> None:
    rooms = read_rooms(source.sql, [])
    written = supabase.write(
        tmp_path, read_nouns(source.migrations), rooms, datetime(2026, 2, 28, 23, 59, 58, tzinfo=UTC)
    )
    assert [path.name.partition("_")[0] for path in written] == [
        "20260228235959", "20260301000000", "20260301000001", "20260301000002",
    ]  # fmt: skip


def test_a_noun_that_was_written_is_frozen(source: Source, tmp_path: Path) -> None:
    source.migrate("", to=tmp_path)
    source.noun("0002_claims.sql", "create table bilag.claims ();")
    with pytest.raises(
        MigrationError, match=r"0002_claims\.sql was edited after it was written to supabase/migrations"
    ):
        source.migrate("", to=tmp_path)


def test_a_folder_that_is_not_there_is_not_made(source: Source, tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="There is no folder"):
        source.migrate("", to=tmp_path / "nowhere")
