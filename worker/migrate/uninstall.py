"""``bilag uninstall``: takes away what ``bilag migrate`` made, and nothing that is somebody else's.

What is ours is written down: rooms' objects in ``bilag_internal.verb_objects``, tables and types in ``migrations/``.
Everything happens in one transaction, so that a refusal, a cut line or a kill leaves the installation as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, LiteralString

import psycopg
from psycopg import errors, sql

from worker.migrate.connection import PATIENCE, Patience, connect, locked, looking
from worker.migrate.errors import first_line
from worker.migrate.ledger import as_owner, has_ledger
from worker.migrate.nouns import read_nouns
from worker.migrate.report import MigrationError
from worker.migrate.statements import split
from worker.migrate.texts import text
from worker.places import MIGRATIONS

if TYPE_CHECKING:
    from worker.migrate.connection import Connection

ROLES = ("bilag_observer", "bilag_worker")
_LEDGER = ("bilag_internal.migrations", "bilag_internal.verbs", "bilag_internal.verb_objects")
_UNSETTLED = """
    select state, count(*) from bilag.export_items
    where state in ('pending', 'sending', 'accepted', 'in_doubt') group by state order by state"""
_ALIVE = """
    select host || ' (pid ' || pid || ')' from bilag.worker_heartbeats
    where last_seen_at > bilag_internal.now() - interval '2 minutes' order by host, pid"""
_QUEUES = "select queue || ' (' || messages || ' messages)' from bilag_internal.queue_lengths() order by queue"
_TABLES = """
    select format('%s (about %s rows)', c.oid::regclass, greatest(c.reltuples, 0)::bigint)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('bilag', 'bilag_internal') and c.relkind = 'r' order by c.oid::regclass::text"""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the person wants: data kept, secrets deleted, unsettled vouchers and living workers disregarded."""

    keep_data: bool = False
    secrets: bool = False
    force: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes, what stays, and what stands in the way. ``obstacles`` are sentences; with one of them nothing goes."""

    database: str
    goes: tuple[str, ...]
    stays: tuple[str, ...]
    obstacles: tuple[str, ...]
    notes: list[str] = field(default_factory=list)


def plan(dsn: str, choice: Choice, *, migrations: Path = MIGRATIONS) -> Plan:
    """What :func:`uninstall` would do. Changes nothing. Raises MigrationError when there is no Bilag here."""
    with connect(dsn) as connection:
        return looking(connection, lambda c: _plan(c, choice, _nouns(migrations)))


def uninstall(dsn: str, choice: Choice, *, migrations: Path = MIGRATIONS, patience: Patience = PATIENCE) -> Plan:
    """Takes Bilag away. Raises MigrationError, and changes nothing, when something stands in the way."""
    nouns = _nouns(migrations)
    with connect(dsn) as connection:
        return locked(connection, patience, lambda c: _uninstall(c, choice, nouns))


def _uninstall(connection: Connection, choice: Choice, nouns: list[str]) -> Plan:
    _require(connection)
    as_owner(connection)
    # Nobody marks a voucher, and no lane is claimed, between the look and the end.
    connection.execute("lock table bilag.export_lanes, bilag.export_items in access exclusive mode")
    found = _plan(connection, choice, nouns)
    if found.obstacles:
        raise MigrationError(" ".join(found.obstacles))
    _names(connection, "select bilag_internal.unschedule()")
    if choice.keep_data:
        _drop_verbs(connection)
        return found
    _names(connection, "select bilag_internal.drop_queues()")
    if choice.secrets:
        _names(connection, "select bilag_internal.drop_secrets()")
    connection.execute("drop schema bilag, bilag_internal, bilag_hooks cascade")
    connection.execute("reset role")
    found.notes.extend(note for role in ROLES if (note := _drop_role(connection, role)))
    return found


def _plan(connection: Connection, choice: Choice, nouns: list[str]) -> Plan:
    _require(connection)
    (database,) = _names(connection, "select current_database()")
    jobs = _names(connection, "select jobname || ' of ' || username from bilag_internal.cron_jobs()")
    secrets = _names(connection, "select bilag_internal.secret_names()")
    verbs = _names(connection, "select kind || ' ' || identity from bilag_internal.verb_objects order by 1")
    tables = _names(connection, _TABLES)
    goes = [*(f"the pg_cron job {job}" for job in jobs)]
    stays = []
    if choice.keep_data:
        goes += verbs
        stays += [*(f"table {table}" for table in tables), "the queues", *(f"the secret {name}" for name in secrets)]
    else:
        goes += [f"the queue {queue}" for queue in _names(connection, _QUEUES)]
        goes += [f"table {table}" for table in tables]
        goes += [
            f"{len(verbs)} functions, views, policies and triggers",
            "the schemas bilag, bilag_internal, bilag_hooks",
        ]
        goes += ["the body of bilag_hooks.memberships(), which may be your own"]
        goes += [f"the role {role}, unless something else needs it" for role in ROLES]
        (goes if choice.secrets else stays).extend(f"the secret {name} in Vault" for name in secrets)
        stays += [
            "the extensions, pgmq and vault: other applications may use them",
            "the roles anon, authenticated and service_role, and the schema auth",
        ]
    return Plan(database, tuple(goes), tuple(stays), tuple(_obstacles(connection, choice, nouns)))


def _obstacles(connection: Connection, choice: Choice, nouns: list[str]) -> list[str]:
    found = []
    if not choice.keep_data and (leaning := _leaning(connection, nouns)):
        found.append(f"Not Bilag's, and would fall with it: {', '.join(leaning)}. Move or drop that first.")
    if choice.force:
        return found
    if unsettled := [f"{count} {state}" for state, count in connection.execute(_UNSETTLED).fetchall()]:
        found.append(
            f"Vouchers are not settled: {', '.join(unsettled)}. Nobody would find out any more whether they are "
            "booked: let a worker finish, or say --force."
        )
    if alive := _names(connection, _ALIVE):
        found.append(f"Workers are alive: {', '.join(alive)}. Stop them, wait two minutes, or say --force.")
    return found


def _leaning(connection: Connection, nouns: list[str]) -> list[str]:
    query = text("leaning.sql").encode()
    # What is not ours is told by its whole name.
    connection.execute("select set_config('search_path', 'pg_catalog, pg_temp', true)")
    return [str(row[0]) for row in connection.execute(query, {"nouns": nouns}).fetchall()]


def _drop_verbs(connection: Connection) -> None:
    """As a deploy without any rooms would: it stops, and names both, when something of a user's leans on one."""
    connection.execute(text("engine.sql").encode())
    connection.execute("select bilag_migrate.finish()")
    connection.execute("delete from bilag_internal.verbs")
    connection.execute("drop schema bilag_migrate cascade")


def _drop_role(connection: Connection, role: str) -> str | None:
    """Drops a role that nothing needs any more; else says why it stays."""
    try:
        with connection.transaction():
            connection.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(role)))
    except (errors.DependentObjectsStillExist, errors.InsufficientPrivilege, errors.ObjectInUse) as error:
        return f"The role {role} stays: {first_line(error)}."
    return None


def _require(connection: Connection) -> None:
    if not has_ledger(connection):
        raise MigrationError("There is no Bilag in this database.")
    try:
        with connection.transaction():
            connection.execute("select bilag_internal.cron_jobs(), bilag_internal.secret_names() limit 0")
    except psycopg.errors.UndefinedFunction:
        raise MigrationError("The functions of Bilag are not all here: run `bilag migrate` first.") from None


def _names(connection: Connection, query: LiteralString) -> list[str]:
    return [str(row[0]) for row in connection.execute(query).fetchall()]


def _nouns(folder: Path) -> list[str]:
    """The tables, types and domains that migrations make, and the ledger's."""
    made = [
        ".".join(token.name for token in statement.tokens[2:5] if token.text != ".")
        for noun in read_nouns(folder)
        for statement in split(noun.text, noun.source)
        if statement.words[:2] in {("create", "table"), ("create", "type"), ("create", "domain")}
    ]
    return [*_LEDGER, *made]
