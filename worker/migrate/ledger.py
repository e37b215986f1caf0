"""Where a migration writes down what it did: made by the runner itself, before the first noun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.migrate.texts import text

if TYPE_CHECKING:
    from worker.migrate.connection import Connection


def has_schema(connection: Connection, name: str) -> bool:
    """Whether the database has a schema of this name, whoever may use it."""
    return connection.execute("select from pg_namespace where nspname = %s", (name,)).fetchone() is not None


def has_ledger(connection: Connection) -> bool:
    """Whether a migration ran here before."""
    found = connection.execute(
        "select from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where n.nspname = 'bilag_internal' and c.relname = 'verb_objects'"
    )
    return found.fetchone() is not None


def make_ledger(connection: Connection) -> None:
    """Makes the ledger where there is none."""
    if not has_ledger(connection):
        connection.execute(text("ledger.sql").encode())
