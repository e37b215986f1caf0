"""Sample organisations with approved claims, as Norwegian volunteers make them: for the demo and `make up`.

The same seed gives the same claims, so two demos can be compared. A few claims have a category that nobody mapped, as
happens; they are to be rejected, and to hold up nobody else.
"""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from psycopg.types.json import Jsonb

from dev.chart import CATEGORIES, DEPARTMENTS, PROJECTS, SETTLEMENT_ACCOUNT, UNMAPPED

if TYPE_CHECKING:
    from psycopg import Connection

NAMESPACE = UUID("b11a6000-0000-4000-8000-000000000000")
FIRST_DAY = date(2026, 1, 5)
PEOPLE = (
    "Ingrid Solberg",
    "Ola Nordmann",
    "Kari Li",
    "Amina Hassan",
    "Per Dahl",
    "Mette Vik",
    "Sindre Berg",
    "Li Chen",
)


@dataclass(frozen=True)
class Organization:
    """A sample tenant and its one accounting system. ``treasurer`` is the user who may move its money.

    ``by_schedule``: its exports come by a schedule of pg_cron; otherwise its treasurer asks for them.
    """

    name: str
    org_number: str
    integration_type: str
    claims: int
    unmapped: int
    by_schedule: bool = False

    @property
    def id(self) -> UUID:
        return uuid5(NAMESPACE, self.org_number)

    @property
    def treasurer(self) -> UUID:
        return uuid5(NAMESPACE, self.org_number + "/treasurer")


ORGANIZATIONS = (
    Organization("Nordlys Frivilligsentral", "971524553", "xledger", claims=300, unmapped=3),
    Organization("Fjordkanten Ungdomslag", "984661185", "xledger", claims=200, unmapped=2, by_schedule=True),
    Organization("Havgløtt Omsorg", "982014476", "dynamics365", claims=200, unmapped=2),
    Organization("Vidda Turlag", "918273646", "dynamics365", claims=100, unmapped=1, by_schedule=True),
    Organization("Sørtun Speidergruppe", "991077251", "file", claims=150, unmapped=2),
    Organization("Elvebakken Korps", "915304621", "file", claims=50, unmapped=1, by_schedule=True),
)
"""Two for each accounting system: one that asks, and one with a schedule."""


def organizations(integration_types: Collection[str]) -> list[Organization]:
    """Those whose accounting system is one of these."""
    return [organization for organization in ORGANIZATIONS if organization.integration_type in integration_types]


def load(connection: Connection, organization: Organization, settings: Mapping[str, Any], secret: str | None) -> None:
    """Make the organisation, its integration with its credential and mappings, and its approved claims."""
    with connection.transaction():
        _make_tenant(connection, organization, settings)
        if secret is not None:
            connection.execute(
                "select bilag.set_integration_credential(%s, %s, %s)",
                (organization.id, organization.integration_type, secret),
            )
        _map_categories(connection, organization)
    answer = connection.execute(
        "select bilag.upsert_claims(%s, %s)", (organization.id, Jsonb(list(claims(organization))))
    ).fetchone()
    if answer is None or answer[0]["refused"]:
        raise ValueError(f"The sample claims of {organization.name} were refused: {json.dumps(answer)[:500]}")


def claims(organization: Organization) -> Iterator[dict[str, Any]]:
    """The claims of an organisation as ``upsert_claims`` takes them: 1 to 6 lines each."""
    chance = random.Random(organization.org_number)  # sample data, not a secret
    without_account = set(chance.sample(range(organization.claims), organization.unmapped))
    for number in range(organization.claims):
        person = chance.randrange(len(PEOPLE))
        lines = [_line(chance, n) for n in range(1, chance.randint(1, 6) + 1)]
        if number in without_account:
            category, text = chance.choice(sorted(UNMAPPED.items()))
            lines[0] |= {"category": category, "description": text}
        yield {
            "claim_number": f"2026-{number + 1:04}",
            "status": "approved",
            "claimant_name": PEOPLE[person],
            "claimant_reference": f"E{1001 + person}",
            "lines": lines,
        }


def _line(chance: random.Random, number: int) -> dict[str, Any]:
    name, category = chance.choice(sorted(CATEGORIES.items()))
    amount = Decimal(chance.randint(category.lowest * 100, category.highest * 100)) / 100
    dimensions = {"DEPARTMENT": chance.choice(sorted(DEPARTMENTS))}
    if chance.random() < 0.3:
        dimensions["PROJECT"] = chance.choice(sorted(PROJECTS))
    return {
        "line_no": number,
        "category": name,
        "description": category.text,
        "expense_date": (FIRST_DAY + timedelta(days=chance.randrange(300))).isoformat(),
        "amount": str(amount),
        "dimensions": dimensions,
    }


def _make_tenant(connection: Connection, organization: Organization, settings: Mapping[str, Any]) -> None:
    connection.execute(
        "insert into bilag.organizations (id, name, org_number) values (%s, %s, %s)",
        (organization.id, organization.name, organization.org_number),
    )
    connection.execute(
        "insert into bilag.organization_members (org_id, user_id, role) values (%s, %s, 'finance_admin')",
        (organization.id, organization.treasurer),
    )
    connection.execute(
        "insert into bilag.integration_config (org_id, integration_type, settings) values (%s, %s, %s)",
        (organization.id, organization.integration_type, Jsonb({"settlement_account": SETTLEMENT_ACCOUNT, **settings})),
    )


def _map_categories(connection: Connection, organization: Organization) -> None:
    connection.cursor().executemany(
        "insert into bilag.account_mappings (org_id, integration_type, category, account_code, vat_code)"
        " values (%s, %s, %s, %s, %s)",
        [
            (organization.id, organization.integration_type, name, category.account, category.vat_code)
            for name, category in CATEGORIES.items()
        ],
    )
