"""Nouns: ``migrations/NNNN_name.sql``, each applied once, in a transaction of its own, and frozen from then on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

from worker.migrate.connection import Connection
from worker.migrate.errors import told_of
from worker.migrate.ledger import has_ledger, has_schema
from worker.migrate.report import MigrationError
from worker.migrate.statements import Statement, split

_NAME = re.compile(r"(\d{4})_\w+\.sql")
_UNLESS = re.compile(r"-- unless there is a schema (\w+)")
_ENDS_TRANSACTIONS = frozenset({"begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release"})


@dataclass(frozen=True, slots=True)
class Noun:
    """One migration file. Where the server has the schema ``unless`` already, it is only written down."""

    version: int
    name: str
    text: str
    unless: str | None

    @property
    def source(self) -> str:
        """What errors call it."""
        return f"migrations/{self.name}"

    @property
    def sha256(self) -> str:
        """Of the text, whatever line endings git gave it."""
        return sha256(self.text.encode()).hexdigest()


def read_nouns(folder: Path) -> tuple[Noun, ...]:
    """The migrations of a folder in order. Raises MigrationError for a name, a number or a statement that cannot be."""
    nouns = tuple(_read(path) for path in sorted(folder.glob("*.sql")))
    if not nouns:
        raise MigrationError(f"The folder {folder} holds no migrations: Bilag is not installed as a whole.")
    for earlier, later in pairwise(nouns):
        if earlier.version == later.version:
            raise MigrationError(
                f"{earlier.name} and {later.name} have the same number: give the later one a new number."
            )
    return nouns


def _read(path: Path) -> Noun:
    name = _NAME.fullmatch(path.name)
    if name is None:
        raise MigrationError(f"migrations/{path.name} is not named NNNN_name.sql.")
    text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    for statement in split(text, f"migrations/{path.name}"):
        if statement.words[0] in _ENDS_TRANSACTIONS:
            raise MigrationError(
                f"migrations/{path.name}, line {statement.line}: {statement.words[0]} cannot stand in a migration, "
                "which is one transaction as a whole."
            )
    unless = _UNLESS.match(text)
    return Noun(int(name[1]), path.name, text, unless[1] if unless else None)


def pending(connection: Connection, nouns: tuple[Noun, ...]) -> tuple[Noun, ...]:
    """The nouns that the database lacks. Raises MigrationError when its ledger and the files tell different stories."""
    applied = _ledger(connection)
    known = {noun.version: noun for noun in nouns}
    for version, (name, digest) in applied.items():
        if version not in known:
            raise MigrationError(
                f"The database has {name}, which this version of Bilag does not know: use the newer version."
            )
        if known[version].sha256 != digest:
            raise MigrationError(
                f"{known[version].source} was edited after it was applied: migrations are frozen, so restore the file "
                "and write what you want to change as a new one."
            )
    newest = max(applied, default=0)
    missing = tuple(noun for noun in nouns if noun.version not in applied)
    for noun in missing:
        if noun.version < newest:
            raise MigrationError(
                f"{noun.source} comes before {applied[newest][0]}, which the database already has: give it a later "
                "number."
            )
    return missing


def _ledger(connection: Connection) -> dict[int, tuple[str, str]]:
    if not has_ledger(connection):
        return {}
    rows = connection.execute("select version, name, sha256 from bilag_internal.migrations order by version")
    return {version: (name, digest) for version, name, digest in rows}


def apply_next(connection: Connection, nouns: tuple[Noun, ...]) -> str | None:
    """Applies the first noun that the database lacks, writes it down and returns its name; None when it has all."""
    missing = pending(connection, nouns)
    if not missing:
        return None
    noun = missing[0]
    if noun.unless is None or not has_schema(connection, noun.unless):
        with told_of(Statement(noun.source, 1, noun.text, ())):
            connection.execute(noun.text.encode())
    connection.execute(
        "insert into bilag_internal.migrations (version, name, sha256) values (%s, %s, %s)",
        (noun.version, noun.name, noun.sha256),
    )
    return noun.name
