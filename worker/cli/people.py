"""The connection of people: as the owner of the schema (BILAG_MIGRATE_URL, else DATABASE_URL)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from worker import settings
from worker.cli.told import Told, sentence
from worker.database import Refusal, conninfo

Row = dict[str, Any]

_ORGANISATION = """
    select o.id from bilag.organizations o
    where o.id::text = lower(%(given)s) or o.org_number = %(given)s or o.external_id = %(given)s
    limit 2"""
_UNDEFINED = ("3F000", "42P01", "42883")


class People:
    """A database as people ask it. Every mistake comes out as :class:`Told`."""

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self._connection = connection

    def rows(self, statement: LiteralString, *values: Any) -> list[Row]:
        """The rows of one statement, in a transaction of its own."""
        return self._ask(statement, values or None)

    def value(self, statement: LiteralString, *values: Any) -> Any:
        """The first column of the first row."""
        rows = self._ask(statement, values or None)
        return next(iter(rows[0].values())) if rows else None

    def organisation(self, given: str) -> UUID:
        """The organisation with this id, org_number or external_id."""
        found = self._ask(_ORGANISATION, {"given": given})
        if not found:
            raise Told(f"There is no organisation {given!r}: give its id, org_number or external_id.")
        if len(found) > 1:
            raise Told(f"More than one organisation is called {given!r}: give its id.")
        organisation: UUID = found[0]["id"]
        return organisation

    def _ask(self, statement: LiteralString, values: Any) -> list[Row]:
        with told():
            cursor = self._connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def people(dsn: str | None = None) -> Iterator[People]:
    """Connect as people do, and close again."""
    url = dsn or settings.load().owner_url
    with told():
        connection = psycopg.connect(
            conninfo(url, "bilag"), autocommit=True, prepare_threshold=None, row_factory=dict_row
        )
    with connection:
        yield People(connection)


@contextmanager
def told() -> Iterator[None]:
    """What the database refuses becomes a sentence."""
    try:
        yield
    except Refusal as error:
        raise Told(sentence(str(error), error.hint)) from None
    except psycopg.errors.InsufficientPrivilege as error:
        hint = "Use the owner's login: set BILAG_MIGRATE_URL."
        raise Told(sentence(error.diag.message_primary or str(error), hint)) from None
    except psycopg.Error as error:
        if error.sqlstate in _UNDEFINED:
            hint = "Has `bilag migrate` run in this database?"
            raise Told(sentence(error.diag.message_primary or str(error), hint)) from None
        raise Told(sentence(error.diag.message_primary or str(error), error.diag.message_hint)) from None
