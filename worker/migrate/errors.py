"""The server's complaints as sentences that name a file and a line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors

from worker.migrate.report import MigrationError

if TYPE_CHECKING:
    from worker.migrate.statements import Statement


@contextmanager
def told_of(statement: Statement) -> Iterator[None]:
    """Turns what the server says while a statement runs into a MigrationError that names its file and line.

    What may succeed a moment later is left as it is, for :func:`~worker.migrate.connection.locked` to try again.
    """
    try:
        yield
    except psycopg.Error as error:
        if passing(error):
            raise
        raise MigrationError(f"{statement.source}, line {_line(statement, error)}: {sentence(error)}") from error


def passing(error: psycopg.Error) -> bool:
    """Whether the same transaction may well succeed a moment later."""
    if isinstance(error, errors.LockNotAvailable | errors.DeadlockDetected | errors.SerializationFailure):
        return True
    # Two sessions that make or grant the same at once, be it from two databases of a server: Postgres then reports
    # either its own catalogue's unique index or an internal error, and means "try again".
    catalogues = isinstance(error, errors.UniqueViolation) and error.diag.schema_name == "pg_catalog"
    return catalogues or "tuple concurrently" in str(error)


def sentence(error: psycopg.Error) -> str:
    """What the server complained about, as one sentence for the person who runs the migration."""
    said = first_line(error)
    match error:
        case errors.InsufficientPrivilege():
            return f"{said}: run bilag migrate as the role that owns the database and Bilag's schemas."
        case errors.ReadOnlySqlTransaction():
            return "the database is read-only, as a standby is: give bilag migrate the address of the primary."
        case psycopg.OperationalError() if error.sqlstate is None or error.sqlstate.startswith(("08", "57P")):
            return f"the connection to the database was lost: {said}."
    return f"{said}."


def first_line(error: psycopg.Error) -> str:
    """The complaint itself, without details, hints and full stop."""
    lines = [line.strip() for line in (error.diag.message_primary or str(error)).splitlines() if line.strip()]
    return lines[0].removeprefix("connection failed: ").rstrip(".") if lines else type(error).__name__


def _line(statement: Statement, error: psycopg.Error) -> int:
    text, inner = statement.text, error.diag.internal_query
    if inner is None:
        return statement.line_of(int(error.diag.statement_position or 1))
    position = int(error.diag.internal_position or 1)
    if inner in text:  # the body of a function
        return statement.line_of(text.index(inner) + position)
    if text.endswith(inner[-20:]):  # the statement, but for how it begins
        return statement.line + text.count("\n") - inner.count("\n", position - 1)
    return statement.line
