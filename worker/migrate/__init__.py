"""``bilag migrate``: nouns once, verbs always.

Nouns (``migrations/``) are applied once each, in order, and frozen by their hash. Verbs (``sql/``) are applied as a
whole, in one transaction, whenever they or the adapters changed or somebody changed them by hand: afterwards the
database is what a fresh installation would be, and what did not change was not touched. Nothing of a user's own is
ever dropped.

    statements   cuts SQL into statements             connection   one connection, one lock, patience
    nouns        migrations/, once                    components   pgmq, Vault, pg_cron
    rooms        sql/, what each statement defines    verbs        applies the rooms through engine.sql
    ledger       what was done, in bilag_internal     supabase     the same as files for `supabase db push`
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from worker.migrate import supabase
from worker.migrate.components import missing, notes, overlooks_jobs, prepare, remind_cron
from worker.migrate.connection import PATIENCE, Connection, Patience, connect, locked, looking
from worker.migrate.ledger import as_owner, make_ledger
from worker.migrate.nouns import Noun, apply_next, pending, read_nouns
from worker.migrate.report import MigrationError, Report
from worker.migrate.rooms import Announcement, Rooms, read_rooms
from worker.migrate.verbs import apply_rooms, due
from worker.places import MIGRATIONS, SQL

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MigrationError", "Patience", "Report", "migrate"]

LAUNCHER_SECONDS = 1.5
"""The launcher of pg_cron looks up once a second."""


def migrate(
    dsn: str,
    *,
    check: bool = False,
    to: Path | None = None,
    migrations: Path = MIGRATIONS,
    sql: Path = SQL,
    announcements: Sequence[Announcement] | None = None,
    patience: Patience = PATIENCE,
) -> Report:
    """Brings the database at ``dsn`` to this version. Doing it again changes nothing.

    With ``check`` nothing is changed and ``Report.drift`` says what would be. With ``to`` no database is asked at all:
    what that folder lacks is written there as timestamped SQL. ``announcements`` are the adapters' by default. Raises
    MigrationError.
    """
    nouns = read_nouns(migrations)
    rooms = read_rooms(sql, _announced() if announcements is None else announcements)
    if to is not None:
        return Report(written=supabase.write(to, nouns, rooms))
    with connect(dsn) as connection:
        if check:
            return looking(connection, lambda c: Report(drift=_drift(c, nouns, rooms)))
        return _migrate(connection, nouns, rooms, patience)


def _migrate(connection: Connection, nouns: tuple[Noun, ...], rooms: Rooms, patience: Patience) -> Report:
    locked(connection, patience, lambda c: pending(c, nouns))  # before anything is made: whether it can go on at all
    prepared = locked(connection, patience, prepare)
    locked(connection, patience, make_ledger)
    applied: list[str] = []
    while name := locked(connection, patience, lambda c: _next(c, nouns)):
        applied.append(name)
    dropped = locked(connection, patience, lambda c: _verbs(c, rooms))
    if dropped is not None and locked(connection, patience, overlooks_jobs):
        time.sleep(LAUNCHER_SECONDS)
        locked(connection, patience, _remind_cron)
    return Report(
        prepared=prepared,
        applied=tuple(applied),
        verbs_applied=dropped is not None,
        dropped=dropped or (),
        notes=locked(connection, patience, notes),
    )


def _next(connection: Connection, nouns: tuple[Noun, ...]) -> str | None:
    as_owner(connection)
    return apply_next(connection, nouns)


def _verbs(connection: Connection, rooms: Rooms) -> tuple[str, ...] | None:
    as_owner(connection)
    return apply_rooms(connection, rooms) if due(connection, rooms) else None


def _remind_cron(connection: Connection) -> None:
    as_owner(connection)
    remind_cron(connection)


def _drift(connection: Connection, nouns: tuple[Noun, ...], rooms: Rooms) -> tuple[str, ...]:
    waiting = tuple(f"{noun.source} is not applied." for noun in pending(connection, nouns))
    verbs = due(connection, rooms)
    return (*missing(connection), *waiting, *((verbs,) if verbs else ()))


def _announced() -> Sequence[Announcement]:
    from worker.adapters import announcements

    return announcements()
