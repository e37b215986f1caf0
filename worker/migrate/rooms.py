"""Verbs: the rooms of ``sql/``, read statement by statement and sorted by what they define.

A room may define functions, procedures and views of ``bilag`` and ``bilag_internal`` and policies and triggers on their
tables; around them it may comment, grant, revoke, insert and update reference data, select, and run ``do`` blocks. What
a migration is for (tables, types, indexes, drops) is refused: it would run again with every deploy.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, LiteralString

from worker.migrate.report import MigrationError
from worker.migrate.statements import Statement, Token, split

_SCHEMAS = frozenset({"bilag", "bilag_internal"})
_HOOKS = "bilag_hooks"
_AROUND = frozenset({"comment", "grant", "revoke", "insert", "update", "delete", "select", "do", "with", "set"})

Announcement = Mapping[str, Any]


_CALLS: Mapping[str, LiteralString] = {
    "function": "select bilag_migrate.define_function(%s, %s, %s, %s, %s)",
    "view": "select bilag_migrate.define_view(%s, %s, %s, %s)",
    "policy": "select bilag_migrate.define_policy(%s, %s, %s, %s)",
    "trigger": "select bilag_migrate.define_trigger(%s, %s, %s, %s)",
}


@dataclass(frozen=True, slots=True)
class Verb:
    """One statement of a room. ``call`` makes the engine apply it, with ``arguments``; None: it is just executed."""

    statement: Statement
    call: LiteralString | None = None
    arguments: tuple[str | bool, ...] = ()

    @property
    def digest(self) -> str:
        """What the engine remembers the statement by."""
        return sha256(self.statement.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Rooms:
    """All rooms together with what the adapters announce: one thing, applied as a whole."""

    verbs: tuple[Verb, ...]
    announcements: tuple[str, ...]
    sha256: str


def read_rooms(folder: Path, announcements: Sequence[Announcement]) -> Rooms:
    """Reads ``folder/*.sql`` in order of their names. Raises MigrationError for what does not belong into a room."""
    texts = {f"sql/{path.name}": _text(path) for path in sorted(folder.glob("*.sql"))}
    statements = [statement for source, text in texts.items() for statement in split(text, source)]
    definitions = [_Definition.of(statement) for statement in statements]
    times = Counter((d.kind, d.schema, d.name) for d in definitions if d)
    verbs = tuple(
        d.verb(alone=times[d.kind, d.schema, d.name] == 1) if d else _around(s)
        for s, d in zip(statements, definitions, strict=True)
    )
    announced = tuple(json.dumps(a, sort_keys=True, ensure_ascii=False) for a in announcements)
    whole = sha256(json.dumps([texts, announced], ensure_ascii=False).encode())
    return Rooms(verbs, announced, whole.hexdigest())


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").replace("\r\n", "\n")


def _around(statement: Statement) -> Verb:
    if statement.words[0] not in _AROUND:
        said = " ".join(statement.words[:3])
        raise MigrationError(
            f"{statement.source}, line {statement.line}: `{said} …` does not belong into a room, which is applied "
            "again and again: write a migration."
        )
    return Verb(statement)


@dataclass(frozen=True, slots=True)
class _Definition:
    """What a ``create`` of a room makes: ``name`` in ``schema`` and, of a policy or trigger, on ``table``."""

    statement: Statement
    kind: str
    schema: str
    name: str
    table: str
    after_name: int
    after_create: int

    @classmethod
    def of(cls, statement: Statement) -> _Definition | None:
        words = statement.words
        if words[0] != "create" or len(words) < 5:
            return None
        at = 3 if words[1:3] == ("or", "replace") else 1
        kind = "function" if words[at] == "procedure" else "trigger" if words[at] == "constraint" else words[at]
        after_create = statement.tokens[at].start
        at += 2 if words[at] == "constraint" else 1
        if kind in {"function", "view"}:
            schema, name = _qualified(statement, at, kind)
            return cls(statement, kind, schema, name, "", statement.tokens[at + 2].end, after_create)
        if kind in {"policy", "trigger"}:
            on = words.index("on", at) + 1 if "on" in words[at:] else len(words)
            schema, table = _qualified(statement, on, "table")
            return cls(statement, kind, schema, statement.tokens[at].name, table, 0, after_create)
        return None

    def verb(self, *, alone: bool) -> Verb:
        text = self.statement.text
        digest = Verb(self.statement).digest
        replacing = f"create or replace {text[self.after_create :]}"
        table = f"{_quoted(self.schema)}.{_quoted(self.table)}"
        arguments: Mapping[str, tuple[str | bool, ...]] = {
            "function": (self.schema, self.name, alone, digest, replacing),
            "view": (self.schema, self.name, digest, text[self.after_name :]),
            "policy": (table, self.name, digest, text),
            "trigger": (table, self.name, digest, text if self._constraint else replacing),
        }
        return Verb(self.statement, _CALLS[self.kind], arguments[self.kind])

    @property
    def _constraint(self) -> bool:
        return "constraint" in self.statement.words[:4]


def _qualified(statement: Statement, at: int, kind: str) -> tuple[str, str]:
    tokens: tuple[Token, ...] = statement.tokens[at : at + 3]
    allowed = _SCHEMAS | ({_HOOKS} if kind == "function" else set())
    if len(tokens) < 3 or tokens[1].text != "." or tokens[0].name not in allowed:
        said = "".join(token.text for token in tokens)
        raise MigrationError(
            f"{statement.source}, line {statement.line}: {kind} {said} has to be named with its schema, bilag or "
            "bilag_internal."
        )
    return tokens[0].name, tokens[2].name


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
