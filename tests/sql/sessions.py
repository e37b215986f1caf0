"""Sessions that run beside each other, one transaction each, with Postgres' own locks between them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, LiteralString
from uuid import UUID

from tests.fix_postgres import Database

Rows = list[tuple[Any, ...]]


class Session:
    """One transaction at a time. ``start`` does not wait for the statement; ``is_blocked`` tells if a lock does."""

    def __init__(self, database: Database) -> None:
        self.connection = database.connect(autocommit=False)
        self._watch = database.connect()
        self._thread = ThreadPoolExecutor(1)

    def run(self, query: LiteralString, *params: Any) -> Rows:
        return self.start(query, *params).result(timeout=20)

    def start(self, query: LiteralString, *params: Any) -> Future[Rows]:
        return self._thread.submit(self._execute, query, params)

    def commit(self) -> None:
        self._thread.submit(self.connection.commit).result(timeout=20)

    def is_blocked(self, work: Future[Rows]) -> bool:
        """True once the statement waits for a lock, false once it is done: one of them comes soon."""
        query: LiteralString = "select wait_event_type = 'Lock' from pg_stat_activity where pid = %s"
        while not work.done():
            row = self._watch.execute(query, [self.connection.info.backend_pid]).fetchone()
            if row is not None and row[0]:
                return True
            time.sleep(0.005)
        return False

    def close(self) -> None:
        self._thread.shutdown()
        self.connection.close()

    def _execute(self, query: LiteralString, params: tuple[Any, ...]) -> Rows:
        cursor = self.connection.execute(query, params or None)
        return cursor.fetchall() if cursor.description is not None else []


@contextmanager
def two_sessions(database: Database) -> Iterator[tuple[Session, Session]]:
    first, second = Session(database), Session(database)
    try:
        yield first, second
    finally:
        first.close()
        second.close()


def only(rows: Rows) -> UUID:
    ((value,),) = rows
    assert isinstance(value, UUID)
    return value
