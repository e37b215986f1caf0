"""``bilag migrate``: nouns once, verbs always.

Nouns (``migrations/``) are applied once each, in order, and frozen by their hash. Verbs (``sql/``) are applied as a whole, in
one transaction, whenever they or the adapters changed: afterwards the database is what a fresh installation would be, and what
did not change was not touched. Nobody generates a file, and nothing of a user's own is ever dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from worker.migrate.connection import Connection, Patience, connect, locked
from worker.migrate.nouns import LEDGER, Noun, apply_noun, pending, read_nouns
from worker.migrate.prepare import prepare
from worker.migrate.report import MigrationError, Report
from worker.migrate.rooms import Announcement, Rooms, read_rooms
from worker.migrate.verbs import apply_rooms, due
from worker.places import MIGRATIONS, SQL

__all__ = ["MigrationError", "Patience", "Report", "migrate"]


def migrate(
    dsn: str,
    *,
    migrations: Path = MIGRATIONS,
    sql: Path = SQL,
    announcements: Sequence[Announcement] | None = None,
    patience: Patience = Patience(),
) -> Report:
    """Brings the database to this version."""
    nouns = read_nouns(migrations)
    rooms = read_rooms(sql, _announced() if announcements is None else announcements)
    with connect(dsn) as connection:
        return _migrate(connection, nouns, rooms, patience)


def _migrate(connection: Connection, nouns: tuple[Noun, ...], rooms: Rooms, patience: Patience) -> Report:
    prepared, notes = prepare(connection, patience)
    locked(connection, patience, lambda: connection.execute(LEDGER.encode()))
    applied: list[str] = []
    while name := locked(connection, patience, lambda: _next_noun(connection, nouns)):
        applied.append(name)
    dropped = locked(connection, patience, lambda: apply_rooms(connection, rooms) if due(connection, rooms) else None)
    return Report(
        prepared=prepared, applied=tuple(applied), verbs_applied=dropped is not None, dropped=dropped or (), notes=notes
    )


def _next_noun(connection: Connection, nouns: tuple[Noun, ...]) -> str | None:
    missing = pending(connection, nouns)
    if not missing:
        return None
    apply_noun(connection, missing[0])
    return missing[0].name


def _announced() -> Sequence[Announcement]:
    from worker import adapters

    return adapters.announcements()
