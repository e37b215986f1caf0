"""Takes pgmq, pg_cron and Vault as extensions where the server has them, and pgmq's own SQL where it has not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from worker.migrate.connection import Connection, Patience, locked

if TYPE_CHECKING:
    from collections.abc import Callable


def prepare(connection: Connection, patience: Patience) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Makes what the first noun needs; returns what was made, and notes about what this server cannot have."""
    made = [note for step in (_pgmq, _vault, _cron) if (note := locked(connection, patience, _bound(step, connection)))]
    return tuple(made), ()


def _bound(step: Callable[[Connection], str | None], connection: Connection) -> Callable[[], str | None]:
    return lambda: step(connection)


def _has_schema(connection: Connection, name: str) -> bool:
    return connection.execute("select to_regnamespace(%s)", (name,)).fetchone() != (None,)


def _available(connection: Connection, name: str) -> bool:
    return connection.execute("select 1 from pg_available_extensions where name = %s", (name,)).fetchone() is not None


def _pgmq(connection: Connection) -> str | None:
    if _has_schema(connection, "pgmq"):
        return None
    if _available(connection, "pgmq"):
        try:
            with connection.transaction():
                connection.execute("create extension pgmq")
            return "pgmq, as an extension"
        except psycopg.errors.InsufficientPrivilege:
            pass
    from pgmq.install import get_embedded_install_sql

    connection.execute(get_embedded_install_sql().encode())
    return "pgmq, from the SQL of its Python package"


def _vault(connection: Connection) -> str | None:
    if _has_schema(connection, "vault"):
        return None
    if connection.execute("select 1 from pg_extension where extname = 'pgcrypto'").fetchone() is None:
        if not _has_schema(connection, "extensions"):
            connection.execute("create schema extensions")
        connection.execute("create extension pgcrypto with schema extensions")
        return "pgcrypto"
    return None


def _cron(connection: Connection) -> str | None:
    row = connection.execute("select current_setting('cron.database_name', true) = current_database()").fetchone()
    if row != (True,) or _has_schema(connection, "cron"):
        return None
    connection.execute("create extension pg_cron")
    return "pg_cron"
