"""The worker's own side of the database, against the real functions, and logins to try it with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from tests.fix_postgres import Database as Installed
from worker.database import Database
from worker.version import CONTRACT

Opened = Callable[..., Awaitable[Database]]


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    """Make connected worker databases, closed at the end."""
    made: list[Database] = []

    async def open_one(dsn: str, *, greet: bool = True) -> Database:
        database = Database(dsn, uuid4())
        made.append(database)
        if greet:
            await database.hello("here", 1, "0", CONTRACT, "development")
        return database

    yield open_one
    for database in made:
        await database.close()


@pytest.fixture
def login(database: Installed) -> Iterator[Callable[..., str]]:
    """Make login roles; the DSN of each. A role belongs to the whole server, so it is dropped again."""
    made: list[str] = []

    def login_as(membership: str | None = None) -> str:
        name = f"hand_{uuid4().hex[:12]}"
        made.append(name)
        role = sql.Identifier(name)
        with database.connect() as owner:
            owner.execute(sql.SQL("create role {} login password 'only-here'").format(role))
            if membership:
                owner.execute(sql.SQL("grant {} to {}").format(sql.Identifier(membership), role))
        return psycopg.conninfo.make_conninfo(database.dsn, user=name, password="only-here")

    yield login_as
    with database.connect() as owner:
        for name in made:
            owner.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))
