"""The vocabulary of the SQL tests: an organisation with claims. Its worker is driven by hand, `fake_worker.py`.

The clock stands still at noon of Monday 2 March 2026 in Oslo until a test moves it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID, uuid4

import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from dev.postgres import Server
from tests.fix_postgres import Connection, Database, copied
from tests.sql.fake_worker import FakeWorker

NOON = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)
"""Noon in Oslo."""


@dataclass(frozen=True)
class Line:
    """A line of a claim."""

    category: str
    amount: str | Decimal
    day: date | None = date(2026, 2, 26)
    description: str | None = None
    dimensions: Mapping[str, Any] = field(default_factory=dict)


TAXI = Line("Taxi", "100.50")


class Organisation:
    """An organisation whose claims are booked by ``xledger``, with Taxi and Meals mapped."""

    kind = "xledger"

    def __init__(self, database: Database, name: str, time_zone: str, connection: Connection | None = None) -> None:
        self.database = database
        self.connection = connection or database.connect()
        self.id: UUID = database.value(
            "insert into bilag.organizations (name, time_zone) values (%s, %s) returning id", name, time_zone
        )

    def integration(self, kind: str | None = None, settings: Mapping[str, Any] | None = None, **columns: Any) -> UUID:
        """Make an integration; its settlement account is 2910 unless ``settings`` say otherwise."""
        values = {**columns, "settings": Jsonb({"settlement_account": "2910", **(settings or {})})}
        return self.insert("integration_config", {"integration_type": kind or self.kind, **values})

    def configure(self, kind: str | None = None, **settings: Any) -> None:
        self.database.sql(
            "update bilag.integration_config set settings = settings || %s where org_id = %s and integration_type = %s",
            Jsonb(settings),
            self.id,
            kind or self.kind,
        )

    def map(self, category: str, account: str, kind: str | None = None, **columns: Any) -> None:
        if "dimensions" in columns:
            columns["dimensions"] = Jsonb(columns["dimensions"])
        values = {"integration_type": kind or self.kind, "category": category, "account_code": account, **columns}
        self.insert("account_mappings", values, returning="org_id")

    def claim(self, number: str, *lines: Line, status: str = "approved", **columns: Any) -> UUID:
        """A claim with its lines (a taxi when none are given), approved at once."""
        with self.connection.transaction():
            values = {"claim_number": number, "status": status, **columns}
            claim = self.insert("expense_claims", values)
            for n, line in enumerate(lines or (TAXI,), start=1):
                words = {"line_no": n, "category": line.category, "description": line.description}
                facts = {"expense_date": line.day, "amount": line.amount, "dimensions": Jsonb(dict(line.dimensions))}
                row = {"claim_id": claim, **words, **facts}
                self.insert("expense_claim_lines", row, returning="claim_id")
        return claim

    def approve(self, count: int, prefix: str = "C", lines: int = 1) -> None:
        """Many claims of so many taxis each, in one statement."""
        self.database.sql(
            "with made as (insert into bilag.expense_claims (org_id, claim_number, status)"
            " select %s, %s || '-' || lpad(n::text, 4, '0'), 'approved' from generate_series(1, %s) as n returning id)"
            " insert into bilag.expense_claim_lines (org_id, claim_id, line_no, category, expense_date, amount)"
            " select %s, id, n, 'Taxi', '2026-02-26', 100.50 from made, generate_series(1, %s) as n",
            self.id,
            prefix,
            count,
            self.id,
            lines,
        )

    def member(self, role: str = "finance_admin") -> UUID:
        """A new person who belongs to the organisation."""
        user = uuid4()
        self.insert("organization_members", {"user_id": user, "role": role}, returning="user_id")
        return user

    def request(self, period_end: date | None = None, key: str | None = None, kind: str | None = None) -> UUID:
        run = self.database.value(
            "select bilag.request_export(%s, %s, %s, %s)", self.id, kind or self.kind, period_end, key
        )
        assert isinstance(run, UUID)
        return run

    def preview(self, period_end: date | None = None, kind: str | None = None, limit: int = 1000) -> dict[str, Any]:
        query: LiteralString = "select bilag.preview_export(%s, %s, %s, %s)"
        return dict(self.database.value(query, self.id, kind or self.kind, period_end, limit))

    def status(self, run: UUID) -> dict[str, Any]:
        return dict(self.database.value("select bilag.export_status(%s)", run))

    def states(self, kind: str | None = None) -> dict[str, str]:
        """The state of each claim's latest item, by claim number."""
        return dict(
            self.database.sql(
                "select distinct on (c.id) c.claim_number, i.state from bilag.export_items i"
                " join bilag.expense_claims c on c.id = i.claim_id"
                " where c.org_id = %s and i.integration_type = %s order by c.id, i.id desc",
                self.id,
                kind or self.kind,
            )
        )

    def insert(self, table: str, values: Mapping[str, Any], *, returning: str = "id") -> UUID:
        row = {"org_id": self.id, **values}
        statement = sql.SQL("insert into bilag.{} ({}) values ({}) returning {}").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Placeholder() * len(row)),
            sql.Identifier(returning),
        )
        made = self.connection.execute(statement, list(row.values())).fetchone()
        assert made is not None
        return UUID(str(made[0]))


class Bilag:
    """One test's installation."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.connection = database.connect()

    def organisation(
        self, name: str = "Testlaget", *, time_zone: str = "Europe/Oslo", settings: Mapping[str, Any] | None = None
    ) -> Organisation:
        made = Organisation(self.database, name, time_zone, self.connection)
        made.integration(settings=settings)
        made.map("Taxi", "7140")
        made.map("Meals", "7150")
        return made

    def type(self, kind: str, **facts: Any) -> None:
        """Announce another accounting system; what is not said is as modest as can be."""
        said = {
            "displayName": kind,
            "settingsSchema": {"properties": {"settlement_account": {"type": "string"}}},
            "vouchersPerBatch": 100,
            "linesPerBatch": 500,
            "parallelCalls": 1,
            "finds": True,
            "confirmsLater": False,
            "needsCredential": True,
            "foreignCurrency": False,
            "makesFile": False,
            "absenceAfterSeconds": 0,
        }
        self.database.sql("select bilag_internal.announce_type(%s)", Jsonb({"integrationType": kind, **said, **facts}))

    def worker(self) -> FakeWorker:
        """A worker that has said hello."""
        worker = FakeWorker(self.database)
        worker.hello()
        return worker

    def advance(self, **by: float) -> None:
        """Time goes on: ``advance(minutes=5)``."""
        self.database.advance(timedelta(**by))


@pytest.fixture(scope="session")
def catalogue(server: Server, template: str) -> Iterator[Database]:
    """A migrated database that tests only look at, shared by all of them."""
    with copied(server, template) as made:
        yield made


@pytest.fixture
def bilag(database: Database) -> Bilag:
    """A migrated installation, at noon."""
    database.set_clock(NOON)
    return Bilag(database)


@pytest.fixture
def org(bilag: Bilag) -> Organisation:
    return bilag.organisation()


@pytest.fixture
def worker(bilag: Bilag) -> FakeWorker:
    return bilag.worker()
