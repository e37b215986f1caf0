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


def owner(connection: Connection) -> str | None:
    """The role that migrated here first, and owns it all."""
    row = connection.execute(
        "select r.rolname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_roles r "
        "on r.oid = c.relowner where n.nspname = 'bilag_internal' and c.relname = 'verb_objects'"
    ).fetchone()
    return row[0] if row else None


def as_owner(connection: Connection) -> None:
    """Goes on, until the transaction ends, as the role that migrated here first.

    So everything keeps one owner, also if a superuser steps in now and then. Who may not be that role stays who they
    are, and hears from the server what they may not do.
    """
    connection.execute(
        "select set_config('role', %(owner)s, true) "
        "where %(owner)s::text <> current_user and pg_has_role(current_user, %(owner)s::text, 'member')",
        {"owner": owner(connection)},
    )


def make_ledger(connection: Connection) -> None:
    """Makes the ledger where there is none."""
    if not has_ledger(connection):
        connection.execute(text("ledger.sql").encode())
