"""pgmq, Vault and pg_cron are taken where the server has them; what is missing is replaced, or said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from dev.postgres import Server, throw_away
from tests.fix_postgres import Database
from worker.migrate import components, migrate

NO_TICK = "pg_cron does not tick here ({}): workers tick instead, as long as one runs."


@pytest.fixture(scope="module")
def plain() -> Iterator[Server]:
    """A server of ours with a role that owns databases and is nothing else."""
    with throw_away(ours=True) as server:
        with server.connect() as connection:
            connection.execute("create role owner_only login createrole")
        yield server


@pytest.fixture(autouse=True)
def without_supabase_vault(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a plain server, also where these tests run on Supabase's image."""
    available = components._available
    monkeypatch.setattr(components, "_available", lambda c, name: name != "supabase_vault" and available(c, name))


def owned(server: Server, name: str) -> str:
    """The address of a database as the role that owns it and is no superuser."""
    with server.connect() as connection:
        connection.execute(sql.SQL("alter database {} owner to owner_only").format(sql.Identifier(name)))
    return server.dsn(name, "owner_only")


def value(dsn: str, query: str) -> object:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None


def test_a_plain_server_gets_pgmq_and_a_vault_that_work(empty_database: Database) -> None:
    report = migrate(empty_database.dsn)
    assert len(report.prepared) == 2
    assert report.notes == (NO_TICK.format("it is not in this database"),)
    empty_database.sql("select pgmq.send('bilag_exports', '{}')")
    empty_database.sql("select vault.create_secret('hush', 'a name')")
    assert empty_database.value("select decrypted_secret from vault.decrypted_secrets") == "hush"


def test_pgcrypto_is_used_where_it_is(empty_database: Database) -> None:
    empty_database.sql("create schema elsewhere")
    empty_database.sql("create extension pgcrypto with schema elsewhere")
    assert "pgcrypto (extension)" not in migrate(empty_database.dsn).prepared
    empty_database.sql("alter extension pgcrypto set schema public")
    empty_database.sql("select vault.create_secret('hush', 'a name')")
    assert empty_database.value("select decrypted_secret from vault.decrypted_secrets") == "hush"


def test_an_owner_who_may_not_read_the_root_key_is_told_so_and_what_helps(plain: Server) -> None:
    plain.create_database("without_key")
    dsn = owned(plain, "without_key")
    notes = " ".join(migrate(dsn).notes)
    assert "The Vault root key cannot be read: role owner_only or the server has no permission to read" in notes
    assert "no credential can be stored or read" in notes

    with plain.connect("without_key") as connection:
        connection.execute("grant pg_read_server_files to owner_only")
        connection.execute("grant execute on function pg_read_file(text, bigint, bigint, boolean) to owner_only")
    assert "root key" not in " ".join(migrate(dsn).notes)
    value(dsn, "select vault.create_secret('hush', 'a name')")
    assert value(dsn, "select decrypted_secret from vault.decrypted_secrets") == "hush"


def test_pg_cron_is_made_in_its_database_and_the_rooms_hear_of_it(plain: Server, tmp_path: Path) -> None:
    if plain.cron_database is None:
        assert value(plain.dsn(), "select count(*) from pg_available_extensions where name = 'pg_cron'") == 0
        return
    dsn = owned(plain, plain.cron_database)
    first = migrate(dsn)
    assert "pg_cron (extension)" not in first.prepared
    assert NO_TICK.format("it is not in this database") in first.notes

    second = migrate(plain.dsn(plain.cron_database))
    assert second.prepared == ("pg_cron (extension)",)
    assert second.verbs_applied
    assert "pg_cron" not in " ".join(second.notes)
    assert not migrate(plain.dsn(plain.cron_database)).changed

    strangers = (
        "select count(*) from pg_proc where pronamespace = 'bilag'::regnamespace and proowner <> 'owner_only'::regrole"
    )
    assert value(dsn, strangers) == 0

    with plain.connect(plain.cron_database) as connection:
        connection.execute("revoke usage on schema cron from owner_only")
    last = migrate(dsn, sql=tmp_path, announcements=[])
    assert last.verbs_applied
    assert NO_TICK.format("this role may not use schema cron") in last.notes
