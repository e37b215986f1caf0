"""A migration waits for others, but never so that others wait for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import LiteralString

import pytest
from psycopg.sql import SQL

from dev.postgres import throw_away
from tests.fix_migrate import HASTY, Source
from tests.fix_postgres import Database
from worker.migrate import MigrationError, Patience, Report

ROOM = """
create or replace function bilag_internal.guard() returns trigger language plpgsql as $$ begin return new; end $$;
create policy own_rows on bilag.claims using (id > 0);
create trigger guard_claims before insert on bilag.claims for each row execute function bilag_internal.guard();
create or replace view bilag.sums as select sum(amount) as total from bilag.claims;
comment on table bilag.claims is 'Claims.';
grant select on bilag.claims, bilag.sums to service_role;
"""
IMPATIENT = Patience(lock=0.1, total=0.4, pause=0.05)


@pytest.fixture
def migrated(source: Source, claims_database: Database) -> Database:
    source.room("10_claims.sql", ROOM)
    source.migrate(claims_database)
    return claims_database


@contextmanager
def reading(database: Database) -> Iterator[None]:
    """A session that reads everything and does not end its transaction."""
    connection = database.connect(autocommit=False)
    connection.execute("set application_name = 'slow report'")
    connection.execute("select * from bilag.claims, bilag.sums")
    try:
        yield
    finally:
        connection.rollback()


def test_an_unchanged_view_policy_or_trigger_waits_for_no_reader(source: Source, migrated: Database) -> None:
    source.room("10_claims.sql", ROOM.replace("begin return new", "begin new.amount := 1; return new"))
    with reading(migrated):
        assert source.migrate(migrated, patience=IMPATIENT).verbs_applied
    migrated.sql("insert into bilag.claims (id) values (1)")
    assert migrated.value("select amount from bilag.claims") == 1


def test_a_changed_trigger_waits_for_no_reader(source: Source, migrated: Database) -> None:
    source.room("10_claims.sql", ROOM.replace("before insert", "before update"))
    with reading(migrated):
        assert source.migrate(migrated, patience=IMPATIENT).verbs_applied


def test_whoever_holds_a_lock_for_too_long_is_named(source: Source, migrated: Database) -> None:
    source.room("10_claims.sql", ROOM.replace("id > 0", "id > 1"))
    with reading(migrated), pytest.raises(MigrationError) as raised:
        source.migrate(migrated, patience=IMPATIENT)
    said = str(raised.value)
    assert said.startswith(
        "Others held locks for 0.4 seconds, so nothing was changed here; last seen: slow report (pid "
    )
    assert said.endswith(", idle in transaction).")
    assert migrated.value("select qual from pg_policies") == "(id > 0)"


def test_it_tries_again_until_the_lock_is_free(source: Source, migrated: Database) -> None:
    source.room("10_claims.sql", ROOM.replace("id > 0", "id > 1"))
    with ThreadPoolExecutor(1) as pool:
        with reading(migrated):
            running = pool.submit(source.migrate, migrated.dsn)
            wait_for(migrated, "select 1 from pg_stat_activity where wait_event_type = 'Lock'")
            # Readers come through while it waits, at the latest when its own patience with the lock is over.
            assert migrated.value("select count(*) from bilag.claims") == 0
        assert running.result().verbs_applied
    assert migrated.value("select qual from pg_policies") == "(id > 1)"


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read"])
def test_of_many_at_once_one_migrates_and_the_others_find_it_done(
    source: Source, empty_database: Database, isolation: str
) -> None:
    name = empty_database.value("select current_database()")
    empty_database.connect().execute(
        f"alter database \"{name}\" set default_transaction_isolation = '{isolation}'".encode()
    )
    source.room("10_claims.sql", ROOM)
    together = threading.Barrier(4)

    def run(_: int) -> Report:
        together.wait()
        return source.migrate(empty_database.dsn, patience=Patience(lock=2, total=30, pause=0.05))

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(run, range(4)))
    assert sorted(name for report in reports for name in report.applied) == ["0001_ground.sql", "0002_claims.sql"]
    assert sum(report.verbs_applied for report in reports) == 1


def test_databases_of_one_new_server_can_be_migrated_at_once(source: Source) -> None:
    """Roles belong to the server: all want to make the same ones."""
    with throw_away(ours=True, cron_database=None) as server:
        dsns = [server.create_database(f"at_once_{number}") for number in range(4)]
        with ThreadPoolExecutor(4) as pool:
            reports = list(pool.map(source.migrate, dsns))
    assert all(report.changed for report in reports)


def test_a_second_migration_waits_for_the_first(source: Source, migrated: Database) -> None:
    with migrated.connect(autocommit=False) as first:
        first.execute("set application_name = 'first migration'")
        first.execute("select pg_advisory_xact_lock(7305812066105311597)")
        with pytest.raises(MigrationError, match=r"last seen: first migration \(pid"):
            source.migrate(migrated, patience=IMPATIENT)
        assert source.migrate(migrated, check=True).drift == ()
    assert not source.migrate(migrated, patience=HASTY).changed


def wait_for(database: Database, query: LiteralString) -> None:
    """Until the query finds something; the statement's own timeout ends it when it never does."""
    loop = "do $$ begin while not exists ({}) loop perform pg_sleep(0.01), pg_stat_clear_snapshot(); end loop; end $$"
    with database.connect() as connection:
        connection.execute("set statement_timeout = '20s'")
        connection.execute(SQL(loop).format(SQL(query)))
