"""OData's ``$filter``: read, checked against the entity type, and turned into a test of rows.

Strings are in single quotes, a quote doubled; ``or`` across two fields is refused [MS]. Code fields are kept in upper
case, and compared as they are kept. The sentences are inferences.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from dev.fakes.dynamics365.edm import Property, decoded
from dev.fakes.dynamics365.entities import property_of
from dev.fakes.dynamics365.errors import BcError, malformed
from dev.fakes.dynamics365.operations import Row

Test = Callable[[Row], bool]

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    name: getattr(operator, name) for name in ("eq", "ne", "gt", "ge", "lt", "le")
}
FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": str.__contains__,
}
TOKEN = re.compile(r"\s*('(?:[^']|'')*'|[()]|,|[^\s(),']+)")


class Piece(NamedTuple):
    """A part of a filter, and the fields it asks about. ``values`` are all that it takes, where it says just that."""

    test: Test
    fields: frozenset[str]
    values: frozenset[Any] | None = None


def _one_of(field: str, values: frozenset[Any]) -> Piece:
    """A look-up of a hundred documents among many thousand entries is asked for often: one test for all of them."""
    return Piece(lambda row: row[field] in values, frozenset({field}), values)


class Filter:
    """A recursive descent over ``or``, ``and``, ``not``, parentheses, comparisons and three functions."""

    def __init__(self, entity: str, text: str) -> None:
        self._entity, self._text = entity, text
        self._words: list[str] = []
        self._at = end = 0
        for found in TOKEN.finditer(text):
            if found.start() != end:
                raise self._wrong()
            self._words.append(found[1])
            end = found.end()
        if text[end:].strip():
            raise self._wrong()

    def read(self) -> Test:
        found = self._any()
        if self._at < len(self._words):
            raise self._wrong()
        return found.test

    def _wrong(self) -> BcError:
        return malformed(f"Syntax error in the filter '{self._text}'.")

    def _take(self, *wanted: str) -> str | None:
        """The next word, if it is one of these."""
        if self._at < len(self._words) and self._words[self._at] in wanted:
            self._at += 1
            return self._words[self._at - 1]
        return None

    def _word(self) -> str:
        if self._at >= len(self._words):
            raise self._wrong()
        self._at += 1
        return self._words[self._at - 1]

    def _any(self) -> Piece:
        pieces = [self._all()]
        while self._take("or"):
            pieces.append(self._all())
        fields = frozenset[str]().union(*(piece.fields for piece in pieces))
        if len(pieces) > 1 and len(fields) > 1:
            message = "The OR operator on distinct fields of a filter is not supported."
            raise BcError(400, "BadRequest_MethodNotImplemented", message)
        values = [piece.values for piece in pieces if piece.values is not None]
        if len(values) == len(pieces):
            return _one_of(next(iter(fields)), frozenset[Any]().union(*values))
        tests = [piece.test for piece in pieces]
        return Piece(lambda row: any(test(row) for test in tests), fields)

    def _all(self) -> Piece:
        pieces = [self._one()]
        while self._take("and"):
            pieces.append(self._one())
        if len(pieces) == 1:
            return pieces[0]
        tests = [piece.test for piece in pieces]
        return Piece(lambda row: all(test(row) for test in tests), frozenset().union(*(one.fields for one in pieces)))

    def _one(self) -> Piece:
        if self._take("not"):
            inner = self._one()
            return Piece(lambda row: not inner.test(row), inner.fields)
        if self._take("("):
            inner = self._any()
            if self._take(")") is None:
                raise self._wrong()
            return inner
        name = self._word()
        return self._function(FUNCTIONS[name]) if name in FUNCTIONS else self._comparison(name)

    def _function(self, compare: Callable[[str, str], bool]) -> Piece:
        if self._take("(") is None:
            raise self._wrong()
        name = self._word()
        wanted_kind = property_of(self._entity, name)
        comma, literal, end = self._take(","), self._word(), self._take(")")
        if comma is None or end is None or wanted_kind.kind not in ("String", "Code"):
            raise self._wrong()
        wanted = _literal(wanted_kind, name, literal)
        return Piece(lambda row: compare(row[name], wanted), frozenset({name}))

    def _comparison(self, name: str) -> Piece:
        kind = property_of(self._entity, name)
        sign = self._word()
        if sign not in COMPARISONS:
            raise self._wrong()
        wanted, compare = _literal(kind, name, self._word()), COMPARISONS[sign]
        if sign == "eq":
            return _one_of(name, frozenset({wanted}))
        return Piece(lambda row: row[name] is not None and bool(compare(row[name], wanted)), frozenset({name}))


def _literal(kind: Property, name: str, word: str) -> Any:
    """A literal of the property's type."""
    quoted = word[1:-1].replace("''", "'") if word.startswith("'") and len(word) > 1 else None
    if kind.kind in ("String", "Code", "Enum") and quoted is not None:
        return decoded(quoted) if kind.kind == "Enum" else quoted
    if quoted is not None or kind.kind in ("String", "Code", "Enum"):
        raise kind.wrong(name, word)
    if kind.kind == "Boolean" and word in ("true", "false"):
        return word == "true"
    try:
        readers: dict[str, Callable[[str], Any]] = {
            "Guid": UUID,
            "Date": date.fromisoformat,
            "DateTimeOffset": datetime.fromisoformat,
            "Int32": int,
            "Int64": int,
            "Decimal": Decimal,
        }
        return readers[kind.kind](word)
    except (KeyError, ValueError, ArithmeticError):
        raise kind.wrong(name, word) from None
