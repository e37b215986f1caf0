"""Xledger's connections: filters with suffix operators, cursors on every edge, and several ways to say "nothing".

At most 10,000 records per query; no ``endCursor``, the last edge's ``cursor`` goes into ``after``; an empty result has
``edges: null``, a null connection, or even ``data: null``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dev.fakes.xledger.schema import VendorError

T = TypeVar("T")
MOST_RECORDS = 10_000

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "gte": operator.ge,
    "gt": operator.gt,
    "lte": operator.le,
    "lt": operator.lt,
    "in": lambda value, wanted: value in wanted,
}


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """Objects of one kind, in the order of their dbId: what can be filtered on, and how one is shown."""

    items: Sequence[T]
    fact: Callable[[T, str], Any]
    shape: Callable[[T], dict[str, Any]]

    def matching(self, wanted: Mapping[str, Any] | None) -> list[T]:
        return [item for item in self.items if self._matches(item, wanted or {})]

    def _matches(self, item: T, wanted: Mapping[str, Any]) -> bool:
        for key, value in wanted.items():
            if key == "AND":
                if not all(self._matches(item, inner) for inner in value or []):
                    return False
                continue
            name, _, suffix = key.rpartition("_")
            actual = self.fact(item, name or key)
            compare = OPERATORS[suffix] if name else operator.eq
            if value is not None and (actual is None or not compare(actual, value)):
                return False
        return True

    def page(self, arguments: Mapping[str, Any]) -> tuple[list[T], bool, bool]:
        """The page that was asked for, and whether there is more after and before it."""
        found = self.matching(arguments.get("filter"))
        after, before = arguments.get("after"), arguments.get("before")
        first, last = arguments.get("first"), arguments.get("last")
        window = [
            item
            for item in found
            if (after is None or self._id(item) > _cursor(after))
            and (before is None or self._id(item) < _cursor(before))
        ]
        for size in (first, last):
            if size is not None and not 0 < size <= MOST_RECORDS:
                raise VendorError(f"first/last: {size} is not between 1 and {MOST_RECORDS}.")
        size = first or last or MOST_RECORDS
        page = window[-size:] if last and not first else window[:size]
        more_after = bool(found) and bool(page) and page[-1] is not found[-1]
        more_before = bool(found) and bool(page) and page[0] is not found[0]
        return page, more_after, more_before

    def connection(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        page, more_after, more_before = self.page(arguments)
        edges = [{"cursor": str(self._id(item)), "node": self.shape(item)} for item in page]
        return {"pageInfo": {"hasNextPage": more_after, "hasPreviousPage": more_before}, "edges": edges or None}

    def _id(self, item: T) -> int:
        return int(self.fact(item, "dbId"))


def _cursor(text: str) -> int:
    if not text.isdigit():
        raise VendorError(f"Invalid cursor: {text}")
    return int(text)
