"""What the first noun stands on: pgmq, Vault and pg_cron, as extensions where the server has them and we may.

Without its extension pgmq comes from the SQL that its Python package carries (SQL-only, pgmq's own second way of being
installed), Vault from ``migrations/0002_vault.sql`` over pgcrypto, and pg_cron not at all: then workers tick.
"""

from __future__ import annotations

import psycopg
from psycopg.sql import SQL, Identifier

from worker.migrate.connection import Connection
from worker.migrate.errors import first_line, passing
from worker.migrate.ledger import has_schema, owner
from worker.migrate.report import MigrationError


def prepare(connection: Connection) -> tuple[str, ...]:
    """Makes what is missing and returns what was made. Belongs into a locked transaction."""
    made = (_make_pgmq(connection), _make_vault(connection), _make_cron(connection))
    return tuple(name for name in made if name)


def missing(connection: Connection) -> tuple[str, ...]:
    """Sentences about what :func:`prepare` would have to make."""
    return () if has_schema(connection, "pgmq") else ("pgmq is not installed.",)


def notes(connection: Connection) -> tuple[str, ...]:
    """Sentences about what works less well here than it could; none of it keeps a migration from running."""
    return tuple(note for note in (_root_key(connection), _cron(connection)) if note)


def overlooks_jobs(connection: Connection) -> bool:
    """Whether pg_cron is here and may have missed that the rooms scheduled its jobs."""
    return has_schema(connection, "cron") and _has_function(connection, "bilag_internal", "schedule_jobs")


def remind_cron(connection: Connection) -> None:
    """Schedules the jobs once more, in a transaction that does nothing else.

    The launcher of pg_cron hears of changes by the server's messages about its catalogue. A first installation sends
    more of these at once than are kept for a process that sleeps, and the launcher passes over the word that some were
    lost: with 1.4.2 the jobs then stood in ``cron.job`` and were not run until something else touched them.
    """
    connection.execute("select bilag_internal.schedule_jobs()")


def _make_pgmq(connection: Connection) -> str | None:
    if has_schema(connection, "pgmq"):
        return None
    if _available(connection, "pgmq") and _refusal(connection, "create extension pgmq") is None:
        return "pgmq (extension)"
    from pgmq.install import get_embedded_install_sql

    connection.execute(get_embedded_install_sql().encode())
    return "pgmq (SQL of its Python package)"


def _make_vault(connection: Connection) -> str | None:
    if has_schema(connection, "vault"):
        _require_vault(connection)
        return None
    if _available(connection, "supabase_vault") and _refusal(connection, "create extension supabase_vault") is None:
        return "supabase_vault (extension)"
    if connection.execute("select from pg_extension where extname = 'pgcrypto'").fetchone() is not None:
        return None
    if not _available(connection, "pgcrypto"):
        raise MigrationError(
            "The server has neither supabase_vault nor pgcrypto, so secrets cannot be kept: install Postgres' contrib "
            "modules (Debian: postgresql-contrib)."
        )
    if not has_schema(connection, "extensions"):  # as on Supabase: nobody's search_path meets them by accident
        connection.execute("create schema extensions")
    connection.execute("create extension pgcrypto with schema extensions")
    return "pgcrypto (extension)"


def _require_vault(connection: Connection) -> None:
    if not _has_function(connection, "vault", "create_secret"):
        raise MigrationError(
            "The schema vault is not Supabase's Vault (it has no create_secret): rename it, Bilag needs that name."
        )


def _make_cron(connection: Connection) -> str | None:
    if has_schema(connection, "cron") or not _may_have_cron(connection):
        return None
    if _refusal(connection, "create extension pg_cron") is not None:
        return None
    if (role := owner(connection)) is not None:  # a superuser made it for whoever goes on from here
        connection.execute(SQL("grant usage on schema cron to {}").format(Identifier(role)))
    return "pg_cron (extension)"


def _may_have_cron(connection: Connection) -> bool:
    """pg_cron works in one database of a server. Whoever may not read which, finds out by trying."""
    if not _available(connection, "pg_cron"):
        return False
    try:
        with connection.transaction():
            here = connection.execute(
                "select current_setting('cron.database_name', true) = current_database()"
            ).fetchone()
            return here == (True,)
    except psycopg.errors.InsufficientPrivilege:
        return True


def _cron(connection: Connection) -> str | None:
    usable = connection.execute(
        "select has_schema_privilege(oid, 'usage') from pg_namespace where nspname = 'cron'"
    ).fetchone()
    if usable == (True,):
        return None
    why = "this role may not use schema cron" if usable else "it is not in this database"
    return f"pg_cron does not tick here ({why}): workers tick instead, as long as one runs."


def _root_key(connection: Connection) -> str | None:
    """Whether our stand-in can be used; the extension keeps its own root key."""
    if not _has_function(connection, "vault", "root_key"):
        return None
    refusal = _refusal(connection, "select length(vault.root_key())")
    return f"{refusal}. Until that is mended no credential can be stored or read." if refusal else None


def _has_function(connection: Connection, schema: str, name: str) -> bool:
    found = connection.execute(
        "select from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname = %s and p.proname = %s",
        (schema, name),
    )
    return found.fetchone() is not None


def _available(connection: Connection, extension: str) -> bool:
    return (
        connection.execute("select from pg_available_extensions where name = %s", (extension,)).fetchone() is not None
    )


def _refusal(connection: Connection, statement: str) -> str | None:
    """Tries a statement and returns why the server would not have it."""
    try:
        with connection.transaction():
            connection.execute(statement.encode())
    except psycopg.Error as error:
        if passing(error):
            raise
        return first_line(error)
    return None
