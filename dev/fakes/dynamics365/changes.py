"""One transaction of Business Central: what was changed, and how to take it back.

A single request is one transaction; so is a batch with ``Isolation: snapshot``, until application code commits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Changes:
    """The open transaction. Everything that is written goes through :meth:`put`, :meth:`drop` and :meth:`set`."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def put(self, table: MutableMapping[K, V], key: K, row: V) -> None:
        """Insert a row."""
        table[key] = row
        self._undo.append(partial(_remove, table, key))

    def drop(self, table: MutableMapping[K, V], key: K) -> None:
        """Delete a row; taken back, it stands where it stood."""
        before = dict(table)
        del table[key]
        self._undo.append(partial(_restore, table, before))

    def set(self, row: Any, name: str, value: Any) -> None:
        before = getattr(row, name)
        setattr(row, name, value)
        self._undo.append(lambda: setattr(row, name, before))

    def commit(self) -> None:
        """What was changed until now stays."""
        self._undo.clear()

    def roll_back(self, to: int = 0) -> None:
        while len(self._undo) > to:
            self._undo.pop()()

    @contextmanager
    def whole(self) -> Iterator[None]:
        """All of it or nothing: what the block wrote is taken back when it raises."""
        mark = len(self._undo)
        try:
            yield
        except BaseException:
            self.roll_back(min(mark, len(self._undo)))
            raise


def _remove(table: MutableMapping[K, V], key: K) -> None:
    table.pop(key, None)


def _restore(table: MutableMapping[K, V], before: dict[K, V]) -> None:
    table.clear()
    table.update(before)
