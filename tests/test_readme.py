"""What README.md tells a newcomer to type into psql does what it says, also beside the sample claims of `make up`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from dev.fakes.__main__ import fakes
from dev.fakes.xledger import XledgerFake
from dev.sample import ORGANIZATIONS
from dev.stack import ACCOUNTING_PORT, COMPOSE_ACCOUNTING
from tests.fix_bilag import Bilag
from tests.sql.fake_worker import FakeWorker

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")


STATEMENT = r"^    ((?:begin|commit|insert|select)\b.*?)(?:;| \\gset)$"


def section(heading: str) -> str:
    """The text below a heading, up to the next one."""
    (text,) = re.findall(rf"^##+ {re.escape(heading)}\n(.*?)(?=^##)", README, re.MULTILINE | re.DOTALL)
    return str(text)


def statements(text: str) -> Iterator[str]:
    """The SQL of a section, without what psql answers to it."""
    yield from re.findall(STATEMENT, text, re.MULTILINE | re.DOTALL)


class Psql:
    r"""As much of psql as README.md uses: ``:'name'``, and ``\gset`` for whatever a statement returns one row of."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.variables: dict[str, Any] = {}

    def type(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows that it returns; one row is remembered by the names of its columns."""
        filled = re.sub(r":'(\w+)'", lambda name: self._literal(name[1]), statement)
        cursor = self.connection.execute(filled.encode())
        if cursor.description is None:
            return []
        rows = cursor.fetchall()
        if len(rows) == 1:
            names = [column.name for column in cursor.description]
            self.variables |= dict(zip(names, rows[0], strict=True))
        return rows

    def _literal(self, name: str) -> str:
        return sql.Literal(str(self.variables[name])).as_string(self.connection)


@pytest.fixture
def psql(bilag: Bilag) -> Psql:
    """Where the samples of `make up` are already."""
    for known in ORGANIZATIONS:
        bilag.database.sql(
            "insert into bilag.organizations (name, org_number) values (%s, %s)", known.name, known.org_number
        )
    return Psql(bilag.connection)


def test_an_organisation_is_connected_and_a_claim_exported_by_hand(psql: Psql, worker: FakeWorker) -> None:
    for statement in statements(section("Connect an organisation")):
        psql.type(statement)
    told = []
    for statement in statements(section("Export a claim by hand")):
        told.append(psql.type(statement))
        if statement.startswith("insert into bilag.export_runs"):
            worker.work()
    status, standing, report, story = told[-4:]
    assert status[0][0] == "succeeded"
    assert [(row[:3], row[-1]) for row in standing] == [(("C-1001", "booked", 41000001), Decimal("839.50"))]
    assert [row[2:] for row in report] == [
        ("7140", Decimal("450.00"), "Taxi to the airport"),
        ("7160", Decimal("389.50"), "Dinner, board meeting"),
        ("2910", Decimal("-839.50"), "Expense claim C-1001"),
    ]
    # A claim's registration is at the time of day, and the rest of its story at the time of the tests.
    assert sorted(line[21:].split()[0] for (line,) in story) == ["approved", "claim", *3 * ["xledger:"]]


def test_claims_in_bulk_are_reported_on_as_it_says(psql: Psql) -> None:
    for statement in statements(section("Connect an organisation")):
        psql.type(statement)
    (upsert,) = statements(section("Claims in bulk"))
    ((told,),) = psql.type(upsert)
    assert [one["result"] for one in told["claims"]] == ["inserted", "refused"]
    assert "has no curency" in told["claims"][1]["message"]


def test_the_stand_in_of_make_up_is_where_it_says(psql: Psql) -> None:
    text = section("Connect an organisation")
    xledger = next(fake for fake in fakes([], 0.0, 0.0) if isinstance(fake, XledgerFake))
    assert f"http://127.0.0.1:{ACCOUNTING_PORT}/xledger/graphql" in text
    assert COMPOSE_ACCOUNTING in text
    assert "test-token" in xledger.books.tokens
    assert "`test-token`" in text
