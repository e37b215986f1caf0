"""A database per test, copied from a migrated template, in a real Postgres that goes with the test run.

A copy takes about a tenth of a second, and goes with its test.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from dev.postgres import Server, throw_away

Connection = psycopg.Connection[tuple[Any, ...]]

TEMPLATE = "bilag_template"
numbers = itertools.count(1)


@contextmanager
def as_user(connection: Connection, user_id: UUID | str, role: str = "authenticated") -> Iterator[Connection]:
    """One transaction as that user, the way PostgREST opens one. Committed at the end, rolled back by an exception."""
    claims = json.dumps({"sub": str(user_id), "role": role})
    with connection.transaction():
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
        connection.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        yield connection


class Database:
    """One test's own database. Its connections are the owner's, and are closed when the test ends."""

    def __init__(self, server: Server, dsn: str) -> None:
        self.server = server
        self.dsn = dsn
        self._opened: list[Connection] = []
        self._own: Connection | None = None

    def connect(self, *, autocommit: bool = True) -> Connection:
        # A test that waits for a lock that never goes fails, and does not hang.
        connection = psycopg.connect(self.dsn, autocommit=autocommit, options="-c statement_timeout=180s")
        self._opened.append(connection)
        return connection

    def sql(self, query: LiteralString, *params: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement, in a transaction of its own; none for a statement that returns no rows."""
        if self._own is None or self._own.closed:  # closed: the server was restarted
            self._own = self.connect()
        cursor = self._own.execute(query, params or None)
        return cursor.fetchall() if cursor.description is not None else []

    def value(self, query: LiteralString, *params: Any) -> Any:
        """The only column of the only row."""
        ((value,),) = self.sql(query, *params)
        return value

    @contextmanager
    def as_user(self, user_id: UUID | str, role: str = "authenticated") -> Iterator[Connection]:
        with self.connect() as own, as_user(own, user_id, role) as connection:
            yield connection

    def set_clock(self, at: datetime | None) -> None:
        """From now on the database says it is ``at``, and time stands still. None: real time again."""
        self.sql("select bilag_internal.set_clock(%s::timestamptz)", at)

    def advance(self, by: timedelta) -> None:
        self.sql("select bilag_internal.advance_clock(%s::interval)", by)

    def close(self) -> None:
        for connection in self._opened:
            connection.close()


def make_template(server: Server) -> str:
    """Migrate a database, and keep everybody out of it: one with a session in it cannot be copied.

    It forgets which database it is: a copy that knew would take itself for a restored dump, and look before it sends.
    """
    import psycopg

    from worker.migrate import migrate

    dsn = server.create_database(TEMPLATE)
    migrate(dsn)
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "update bilag.installation set system_identifier = null, timeline = null, database_oid = null"
        )
    return TEMPLATE


@contextmanager
def copied(server: Server, template: str) -> Iterator[Database]:
    """A fresh copy of the template."""
    name = f"test_{next(numbers)}"
    database = Database(server, server.create_database(name, template))
    try:
        yield database
    finally:
        database.close()
        server.drop_database(name)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The test run's Postgres. A test that restarts it asks for ``restartable_database``."""
    with throw_away() as running:
        yield running


@pytest.fixture(scope="session")
def template(server: Server) -> str:
    """The name of the migrated database that every test's own is copied from."""
    return make_template(server)


@pytest.fixture
def database(server: Server, template: str) -> Iterator[Database]:
    """This test's own migrated database. pg_cron does not run in it; call ``tick()`` where it would."""
    with copied(server, template) as made:
        yield made


@pytest.fixture
def empty_database(server: Server) -> Iterator[Database]:
    """This test's own database, with nothing in it."""
    with copied(server, "template1") as made:
        yield made


@pytest.fixture
def restartable_database(request: pytest.FixtureRequest, server: Server) -> Iterator[Database]:
    """A migrated database in a server that this test may stop and start: ``restartable_database.server``."""
    if server.can_restart:
        yield request.getfixturevalue("database")
        return
    with throw_away(ours=True) as own, copied(own, make_template(own)) as made:
        yield made
