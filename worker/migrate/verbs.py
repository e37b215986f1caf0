"""Applies the rooms as a whole, in one transaction, and tells whether that is due."""

from __future__ import annotations

from importlib.resources import files
from typing import LiteralString, cast

import psycopg

from worker.migrate.connection import Connection, execute_text, sentence
from worker.migrate.report import MigrationError
from worker.migrate.rooms import Rooms, Verb

FACTS = """
    select coalesce((select string_agg(e.extname, ' ' order by e.extname)
                     from pg_extension e where e.extname in ('pg_cron', 'pgmq', 'supabase_vault')), '')
"""
"""What rooms may ask the server about. When it changes, they are applied again."""

CALLS: dict[str, LiteralString] = {
    "define_function": "select bilag_migrate.define_function(%s, %s, %s, %s, %s)",
    "define_view": "select bilag_migrate.define_view(%s, %s, %s, %s, %s)",
    "define_policy": "select bilag_migrate.define_policy(%s, %s, %s, %s)",
    "define_trigger": "select bilag_migrate.define_trigger(%s, %s, %s, %s)",
}

AFTERWARDS = """
do $$
begin
  if exists (select from pg_proc p join pg_namespace n on n.oid = p.pronamespace
             where n.nspname = 'bilag_internal' and p.proname = 'after_migrate') then
    perform bilag_internal.after_migrate();
  end if;
end $$
"""


def engine() -> str:
    """The SQL that makes the functions which apply the rooms."""
    here = files("worker.migrate")
    return here.joinpath("engine.sql").read_text(encoding="utf-8").replace("{objects}", objects())


def objects() -> str:
    """The query for what the database has of the kinds that rooms define."""
    return files("worker.migrate").joinpath("objects.sql").read_text(encoding="utf-8")


def due(connection: Connection, rooms: Rooms) -> str | None:
    """Why the rooms have to be applied, in a sentence, or None when the database is what they say."""
    if connection.execute("select to_regclass('bilag_internal.verbs')").fetchone() == (None,):
        return "The functions, views and policies of sql/ were never applied."
    row = connection.execute("select sha256, facts from bilag_internal.verbs order by id desc limit 1").fetchone()
    if row is None:
        return "The functions, views and policies of sql/ were never applied."
    if row[0] != rooms.sha256:
        return "The functions, views and policies in the database are those of another version."
    facts = connection.execute(cast("LiteralString", FACTS)).fetchone()
    if facts != (row[1],):
        return "The server's extensions are others than when sql/ was applied."
    changed = changed_by_hand(connection)
    return f"Changed by hand: {', '.join(changed)}." if changed else None


def changed_by_hand(connection: Connection) -> list[str]:
    """What the rooms made and somebody altered or dropped since."""
    query = (
        "select v.kind || ' ' || v.identity from bilag_internal.verb_objects v "
        f"left join ({objects()}) o using (kind, identity) where v.state is distinct from o.state order by 1"
    )
    return [row[0] for row in connection.execute(query.encode())]


def apply_rooms(connection: Connection, rooms: Rooms) -> tuple[str, ...]:
    """Makes the database what the rooms say and returns what was dropped. Belongs into a locked transaction."""
    execute_text(connection, "worker/migrate/engine.sql", engine())
    for verb in rooms.verbs:
        _apply(connection, verb)
    dropped = tuple(row[0] for row in _finish(connection))
    connection.execute("drop schema bilag_migrate cascade")
    for announcement in rooms.announcements:
        connection.execute("select bilag_internal.announce_type(%s::jsonb)", (announcement,))
    connection.execute(cast("LiteralString", AFTERWARDS))
    connection.execute(
        f"insert into bilag_internal.verbs (sha256, facts) values (%s, ({FACTS}))".encode(), (rooms.sha256,)
    )
    return dropped


def _apply(connection: Connection, verb: Verb) -> None:
    statement = verb.statement
    if verb.call is None:
        execute_text(connection, statement.source, statement.text, statement.line)
        return
    try:
        connection.execute(CALLS[verb.call], verb.arguments)
    except psycopg.Error as error:
        line = statement.line
        raise MigrationError(f"{statement.source}, line {line}: {sentence(connection, error)}") from error


def _finish(connection: Connection) -> list[tuple[str]]:
    return connection.execute("select * from bilag_migrate.finish()").fetchall()
