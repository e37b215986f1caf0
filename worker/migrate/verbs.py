"""Applies the rooms as a whole, in one transaction, and tells whether that is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.migrate.errors import told_of
from worker.migrate.ledger import has_ledger
from worker.migrate.texts import text

if TYPE_CHECKING:
    from worker.migrate.connection import Connection
    from worker.migrate.rooms import Rooms, Verb

TO_CHECK = """
  select objid, source from bilag_migrate.ours where classid = 'pg_proc'::regclass
"""

AFTERWARDS = """
do $$
begin
  if exists (select from pg_proc p join pg_namespace n on n.oid = p.pronamespace
             where n.nspname = 'bilag_internal' and p.proname = 'after_migrate') then
    perform bilag_internal.after_migrate();
  end if;
end $$
"""


def due(connection: Connection, rooms: Rooms) -> str | None:
    """Why the rooms have to be applied, in a sentence, or None when the database is what they say."""
    last = None
    if has_ledger(connection):
        last = connection.execute(text("drift.sql").encode(), (rooms.sha256,)).fetchone()
    if last is None:
        return "The functions, views and policies of sql/ were never applied."
    same_rooms, same_facts, changed = last
    if not same_rooms:
        return "The database has the functions, views and policies of another version of sql/ or of the adapters."
    if not same_facts:
        return "The tables, their privileges or the extensions are others than when sql/ was applied."
    return f"Changed by hand: {', '.join(changed)}." if changed else None


def apply_rooms(connection: Connection, rooms: Rooms) -> tuple[str, ...]:
    """Makes the database what the rooms say and returns what was dropped. Belongs into a locked transaction."""
    connection.execute(text("engine.sql").encode())
    for verb in rooms.verbs:
        _apply(connection, verb)
    dropped = tuple(row[0] for row in connection.execute("select bilag_migrate.finish()").fetchall())
    _check_bodies(connection, rooms)
    for announcement in rooms.announcements:
        connection.execute("select bilag_internal.announce_type(%s::jsonb)", (announcement,))
    connection.execute(AFTERWARDS.encode())
    connection.execute("select bilag_migrate.remember(%s)", (rooms.sha256,))
    connection.execute("drop schema bilag_migrate cascade")
    return dropped


def _apply(connection: Connection, verb: Verb) -> None:
    with told_of(verb.statement):
        if verb.call is None:
            connection.execute(verb.statement.text.encode())
        else:
            connection.execute(verb.call, verb.arguments)


def _check_bodies(connection: Connection, rooms: Rooms) -> None:
    statements = {verb.digest: verb.statement for verb in rooms.verbs}
    for function, digest in connection.execute(TO_CHECK.encode()).fetchall():
        with told_of(statements[digest]):
            connection.execute("select bilag_migrate.check_body(%s)", (function,))
