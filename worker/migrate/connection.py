"""The one connection of a migration: how it is opened and how it locks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from worker.migrate.errors import first_line, passing, sentence
from worker.migrate.report import MigrationError

OLDEST = 15
"""The first Postgres with views that obey the row security of whoever reads them (security_invoker)."""

Connection = psycopg.Connection[tuple[Any, ...]]
Result = TypeVar("Result")

_KEY = 7_305_812_066_105_311_597
"""Names our advisory lock; any number does that nobody else is likely to choose."""

_SETTINGS = """
    select set_config('lock_timeout', %s, true),
           set_config('statement_timeout', '15min', true),
           set_config('idle_in_transaction_session_timeout', '0', true),
           set_config('check_function_bodies', 'off', true),
           set_config('search_path', 'pg_catalog, pg_temp', true),
           -- How the catalogue shows constants and names, wherever it is read from.
           set_config('standard_conforming_strings', 'on', true), set_config('quote_all_identifiers', 'off', true),
           set_config('intervalstyle', 'postgres', true), set_config('datestyle', 'ISO, MDY', true),
           set_config('timezone', 'UTC', true), set_config('extra_float_digits', '1', true),
           set_config('bytea_output', 'hex', true)
"""

_HOLDERS = """
    select string_agg(distinct concat(
             coalesce(nullif(a.application_name, ''), a.usename), ' (pid ', a.pid, ', ', a.state, ')'), ', ')
    from pg_locks l join pg_stat_activity a on a.pid = l.pid join pg_database d on d.oid = l.database
    where l.granted and l.pid <> pg_backend_pid() and d.datname = current_database()
      and (l.locktype = 'advisory' and (l.classid::bigint << 32 | l.objid::bigint) = %s
        or l.relation in (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
                          where n.nspname in ('bilag', 'bilag_internal')))
"""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a migration waits for others. All in seconds.

    ``lock`` is the longest that it stands in line for a lock, for whoever asks after it waits as long. ``total`` is how
    long it goes on trying, ``pause`` how long it lets others through between two tries.
    """

    lock: float = 2.0
    total: float = 60.0
    pause: float = 0.5


PATIENCE = Patience()


def connect(dsn: str) -> Connection:
    """Opens a connection to a Postgres that is new enough, or says in one sentence why not."""
    try:
        where = conninfo_to_dict(dsn)
    except psycopg.Error:
        # libpq's own message quotes the string, and with it the password.
        raise MigrationError(
            "The database's address is neither a postgresql:// URL nor a libpq connection string."
        ) from None
    try:
        connection = psycopg.connect(
            dsn,
            autocommit=True,
            connect_timeout=int(where.get("connect_timeout") or 10),
            prepare_threshold=None,
            application_name="bilag migrate",
            tcp_user_timeout=30_000,
            keepalives_idle=30,
        )
    except psycopg.Error as error:
        place = f"{where.get('host') or 'the local socket'}:{where.get('port') or 5432}"
        raise MigrationError(f"The database at {place} cannot be reached: {first_line(error)}.") from None
    # Whoever waited for the lock must see what its holder did, whatever the database's default is.
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    version = connection.info.server_version // 10000
    if version < OLDEST:
        connection.close()
        raise MigrationError(f"The server runs Postgres {version}; Bilag needs {OLDEST} or newer.")
    return connection


def locked(connection: Connection, patience: Patience, work: Callable[[Connection], Result]) -> Result:
    """Runs ``work`` in one transaction, alone among migrations, again and again while only a lock is in its way.

    The lock belongs to the transaction, not to the session, so that a transaction pooler in between does no harm.
    """
    deadline = time.monotonic() + patience.total
    while True:
        try:
            with connection.transaction():
                connection.execute(_SETTINGS, (f"{round(patience.lock * 1000)}ms",))
                connection.execute("select pg_advisory_xact_lock(%s)", (_KEY,))
                return work(connection)
        except psycopg.Error as error:
            if not passing(error):
                raise MigrationError(sentence(error)) from error
            if time.monotonic() + patience.pause >= deadline:
                raise MigrationError(_gave_up(connection, patience)) from error
            time.sleep(patience.pause)


def looking(connection: Connection, work: Callable[[Connection], Result]) -> Result:
    """Runs ``work`` in a transaction that cannot change anything and waits for nobody."""
    try:
        with connection.transaction():
            connection.execute("set transaction read only")
            connection.execute(_SETTINGS, ("2s",))
            return work(connection)
    except psycopg.Error as error:
        raise MigrationError(sentence(error)) from error


def _gave_up(connection: Connection, patience: Patience) -> str:
    row = connection.execute(_HOLDERS, (_KEY,)).fetchone()
    holders = row[0] if row and row[0] else "a session that is gone by now"
    return f"Others held locks for {patience.total:g} seconds, so nothing was changed here; last seen: {holders}."
