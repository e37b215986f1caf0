"""The one connection of a migration: how it is opened, how it locks, and how its errors become sentences."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from worker.migrate.report import MigrationError

OLDEST = 150000
"""Postgres 15: security_invoker views and ``nulls not distinct`` came with it."""

Connection = psycopg.Connection[tuple[Any, ...]]
Result = TypeVar("Result")

_KEY = 7_305_812_066_105_311_597
"""Names our advisory lock: the first eight bytes of sha256('bilag migrate'), shifted to fit."""

_PASSING = (errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure)

_SETTINGS = """
    select set_config('lock_timeout', %s, true),
           set_config('statement_timeout', '15min', true),
           set_config('idle_in_transaction_session_timeout', '0', true),
           set_config('check_function_bodies', 'off', true),
           set_config('search_path', 'pg_catalog, pg_temp', true)
"""

_HOLDERS = """
    select string_agg(distinct format('%s (pid %s, %s)', coalesce(nullif(a.application_name, ''), a.usename), a.pid, a.state), ', ')
    from pg_locks l join pg_stat_activity a on a.pid = l.pid
    where l.granted and l.pid <> pg_backend_pid() and l.database = (select oid from pg_database where datname = current_database())
      and (l.locktype = 'advisory' and (l.classid::bigint << 32 | l.objid::bigint) = %s
        or l.relation in (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
                          where n.nspname in ('bilag', 'bilag_internal')))
"""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a migration waits for others. All in seconds.

    ``lock`` is the longest that it stands in line for a lock: whoever asks after it waits as long. ``total`` is how long it
    goes on trying, ``pause`` how long it lets others through between two tries.
    """

    lock: float = 2.0
    total: float = 60.0
    pause: float = 0.5


def connect(dsn: str) -> Connection:
    """Opens a connection to a Postgres that is new enough, or says in one sentence why not."""
    try:
        where = conninfo_to_dict(dsn)
    except psycopg.Error:
        # libpq's own message quotes the string, and with it the password.
        raise MigrationError("The database's address is neither a postgresql:// URL nor a libpq connection string.") from None
    try:
        connection = psycopg.connect(
            dsn, autocommit=True, connect_timeout=int(where.get("connect_timeout") or 10), prepare_threshold=None,
            application_name="bilag migrate", tcp_user_timeout=30_000, keepalives_idle=30,
        )
    except psycopg.Error as error:
        place = f"{where.get('host') or 'the local socket'}:{where.get('port') or 5432}"
        raise MigrationError(f"The database at {place} cannot be reached: {_last_line(error)}.") from None
    if connection.info.server_version < OLDEST:
        version = connection.info.server_version // 10000
        connection.close()
        raise MigrationError(f"The server runs Postgres {version}; Bilag needs 15 or newer.")
    return connection


def locked(connection: Connection, patience: Patience, work: Callable[[], Result]) -> Result:
    """Runs ``work`` in one transaction that nobody else's migration shares, again and again while only a lock is in its way.

    The lock belongs to the transaction, not to the session, so that a transaction pooler in between does no harm.
    """
    deadline = time.monotonic() + patience.total
    while True:
        try:
            with connection.transaction():
                connection.execute(_SETTINGS, (f"{round(patience.lock * 1000)}ms",))
                connection.execute("select pg_advisory_xact_lock(%s)", (_KEY,))
                return work()
        except psycopg.Error as error:
            if not _passing(error):
                raise MigrationError(sentence(connection, error)) from error
            if time.monotonic() + patience.pause >= deadline:
                raise MigrationError(_gave_up(connection, patience)) from error
            time.sleep(patience.pause)


def execute_text(connection: Connection, source: str, text: str, line: int = 1) -> None:
    """Executes SQL of ours, one statement or many. An error tells the file and the line, counted from ``line``."""
    try:
        connection.execute(text.encode())
    except psycopg.Error as error:
        if _passing(error):
            raise
        position = error.diag.internal_position if error.diag.internal_query == text else error.diag.statement_position
        at = line + text.count("\n", 0, max(int(position or 1) - 1, 0))
        raise MigrationError(f"{source}, line {at}: {sentence(connection, error)}") from error


def sentence(connection: Connection, error: psycopg.Error) -> str:
    """What the server complained about, as one sentence for the person who runs the migration."""
    said = (error.diag.message_primary or _last_line(error)).rstrip(".")
    match error:
        case errors.InsufficientPrivilege():
            return (
                f"Role {connection.info.user} may not do that here: {said}. Run bilag migrate as the role that owns the "
                "database and Bilag's schemas."
            )
        case errors.ReadOnlySqlTransaction():
            return "The database is read-only, as a standby is: give bilag migrate the address of the primary."
        case psycopg.OperationalError() if connection.broken:
            return f"The connection to the database was lost: {said}."
    return f"{said}." if not error.diag.message_detail else f"{said}: {error.diag.message_detail.rstrip('.')}."


def _passing(error: psycopg.Error) -> bool:
    # Two sessions that grant on one object at once: Postgres reports it as an internal error, and means "try again".
    return isinstance(error, _PASSING) or "tuple concurrently" in str(error)


def _gave_up(connection: Connection, patience: Patience) -> str:
    row = connection.execute(_HOLDERS, (_KEY,)).fetchone()
    holders = row[0] if row and row[0] else "a session that is gone by now"
    return f"Others held locks for {patience.total:g} seconds, so nothing was changed; last seen: {holders}."


def _last_line(error: psycopg.Error) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first = lines[0] if lines else type(error).__name__
    return first.removeprefix("connection failed: ").rstrip(".")
