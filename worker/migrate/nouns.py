"""Nouns: ``migrations/NNNN_name.sql``, each applied once, in order, in one transaction of its own, and frozen from then on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from worker.migrate.connection import Connection, execute_text
from worker.migrate.report import MigrationError
from worker.migrate.statements import split

_NAME = re.compile(r"(\d{4})_\w+\.sql")
_UNLESS = re.compile(r"-- unless there is a schema (\w+)")
_ENDS_TRANSACTIONS = frozenset({"begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release"})

LEDGER = """\
do $$
begin
  if to_regnamespace('bilag_internal') is null then
    create schema bilag_internal;
  end if;
end $$;

create table if not exists bilag_internal.migrations (
  version     integer primary key,
  name        text not null,
  sha256      text not null,
  applied_at  timestamptz not null default now()
);

create table if not exists bilag_internal.verbs (
  id          bigint generated always as identity primary key,
  sha256      text not null,
  facts       text not null,
  applied_at  timestamptz not null default now()
);

create table if not exists bilag_internal.verb_objects (
  kind      text not null,
  identity  text not null,
  source    text not null,
  state     text not null,
  primary key (kind, identity)
);

comment on table bilag_internal.migrations is 'Which nouns this database has. Kept by bilag migrate.';
comment on column bilag_internal.migrations.sha256 is 'Of the file as it was applied: a frozen file that was edited is refused.';
comment on table bilag_internal.verbs is 'When the rooms of sql/ were applied; the last row is what this database runs.';
comment on column bilag_internal.verbs.sha256 is 'Of all rooms and of what the adapters announce.';
comment on column bilag_internal.verbs.facts is 'What rooms may have asked the server about: a newly installed pg_cron applies them again.';
comment on table bilag_internal.verb_objects is 'What the rooms of sql/ made. Only this is ever replaced or dropped; all else is somebody''s own.';
comment on column bilag_internal.verb_objects.source is 'sha256 of the statement that made it.';
comment on column bilag_internal.verb_objects.state is 'md5 of what the catalogue said afterwards: another value means that somebody changed it by hand.';
"""
"""What the runner itself needs before the first noun. Changes nothing where it is there."""


@dataclass(frozen=True, slots=True)
class Noun:
    """One migration file. Where the server has the schema ``unless`` already, there is nothing to do but to write it down."""

    version: int
    name: str
    text: str
    unless: str | None

    @property
    def sha256(self) -> str:
        """Of the text, whatever line endings git gave it."""
        return sha256(self.text.encode()).hexdigest()


def read_nouns(folder: Path) -> tuple[Noun, ...]:
    """The migrations of a folder in order. Raises MigrationError for a name, a number or a statement that cannot be."""
    nouns = tuple(_read(path) for path in sorted(folder.glob("*.sql")))
    for earlier, later in zip(nouns, nouns[1:], strict=False):
        if earlier.version == later.version:
            raise MigrationError(f"{earlier.name} and {later.name} have the same number: give the later one a new number.")
    return nouns


def _read(path: Path) -> Noun:
    name = _NAME.fullmatch(path.name)
    if name is None:
        raise MigrationError(f"migrations/{path.name} is not named NNNN_name.sql.")
    text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    for statement in split(text, f"migrations/{path.name}"):
        if statement.words[0] in _ENDS_TRANSACTIONS:
            raise MigrationError(
                f"migrations/{path.name}, line {statement.line}: {statement.words[0]} cannot stand in a migration, which is "
                "one transaction as a whole."
            )
    unless = _UNLESS.match(text)
    return Noun(int(name[1]), path.name, text, unless[1] if unless else None)


def pending(connection: Connection, nouns: tuple[Noun, ...]) -> tuple[Noun, ...]:
    """The nouns that the database lacks. Raises MigrationError when its ledger and the files tell different stories."""
    applied = _ledger(connection)
    known = {noun.version: noun for noun in nouns}
    for version, (name, digest) in applied.items():
        if version not in known:
            raise MigrationError(f"The database has {name}, which this version of Bilag does not know: use the newer version.")
        if known[version].sha256 != digest:
            raise MigrationError(
                f"migrations/{known[version].name} was edited after it was applied: migrations are frozen, so restore the file and "
                "write what you want to change as a new one."
            )
    newest = max(applied, default=0)
    missing = tuple(noun for noun in nouns if noun.version not in applied)
    for noun in missing:
        if noun.version < newest:
            raise MigrationError(
                f"migrations/{noun.name} comes before {applied[newest][0]}, which the database already has: give it a later number."
            )
    return missing


def _ledger(connection: Connection) -> dict[int, tuple[str, str]]:
    if connection.execute("select to_regclass('bilag_internal.migrations')").fetchone() == (None,):
        return {}
    rows = connection.execute("select version, name, sha256 from bilag_internal.migrations order by version")
    return {version: (name, digest) for version, name, digest in rows}


def apply_noun(connection: Connection, noun: Noun) -> None:
    """Applies one noun and writes it down. Belongs into a locked transaction."""
    if noun.unless is None or connection.execute("select to_regnamespace(%s)", (noun.unless,)).fetchone() == (None,):
        execute_text(connection, f"migrations/{noun.name}", noun.text)
    connection.execute(
        "insert into bilag_internal.migrations (version, name, sha256) values (%s, %s, %s)",
        (noun.version, noun.name, noun.sha256),
    )
