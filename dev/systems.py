"""The accounting systems of the sample organisations: how each is reached, and what it really holds afterwards.

What it holds is the systems' own word: of a stand-in its ledger, of file exports the files, read again line by line.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dev.fakes.dynamics365.entra import client_id_of
from dev.fakes.remote import RemoteFake

if TYPE_CHECKING:
    from psycopg import Connection

    from dev.sample import Organization


@dataclass(frozen=True)
class Access:
    """What an integration needs: its settings, and its credential if it takes one."""

    settings: Mapping[str, Any]
    credential: str | None = None


@dataclass(frozen=True)
class Tally:
    """How many vouchers a system holds, and how many of the expected ones are missing or doubled."""

    booked: int
    missing: int
    doubled: int


class Systems:
    """``url`` is where the stand-ins listen; ``reached`` is how the worker reaches them, where that differs."""

    def __init__(self, url: str, reached: str | None = None) -> None:
        self._url, self._reached = url, reached or url
        self._owners: dict[str, str] = {}

    def connect(self, organization: Organization) -> Access:
        """Make the organisation's ledger in its system; how to reach it. Raises LookupError for an unknown system."""
        secret, key = f"sample-token-{organization.org_number}", organization.integration_type
        if key == "file":
            return Access({"format": "csv"})
        if key not in ("xledger", "dynamics365"):
            raise LookupError(f"There is no stand-in for {key}.")
        fake = RemoteFake(self._url, key)
        owner = self._owners[organization.org_number] = fake.add_owner(secret, organization.name)
        base_url = self._as_reached(fake.url)
        if key == "xledger":
            return Access({"base_url": base_url}, secret)
        token_url = self._as_reached(fake.state()["tokenUrl"])
        credential = json.dumps({"client_id": client_id_of(secret), "client_secret": secret})
        return Access({"base_url": base_url, "token_url": token_url, "company_id": owner}, credential)

    def stand_in(self, organization: Organization) -> RemoteFake:
        """The stand-in that an organisation books in. Raises ValueError where there is none."""
        return RemoteFake(self._url, organization.integration_type)

    def tally(self, connection: Connection, organization: Organization, expected: Collection[str]) -> Tally:
        """Count what the organisation's system holds against the references that should be there."""
        if organization.integration_type == "file":
            rows = connection.execute(
                "select f.content from bilag.export_files f where f.org_id = %s", (organization.id,)
            ).fetchall()
            return tally_of_files([bytes(row[0]) for row in rows], expected)
        owner = self._owners[organization.org_number]
        fake = RemoteFake(self._url, organization.integration_type)
        check = fake.check(expected, owner)
        return Tally(len(fake.vouchers(owner)), len(check["missing"]), len(check["doubled"]))

    def _as_reached(self, url: str) -> str:
        return url.replace(self._url, self._reached, 1)


def tally_of_files(files: Iterable[bytes], expected: Collection[str]) -> Tally:
    """Count the vouchers in CSV files by our reference. A voucher whose lines do not sum to zero is not there."""
    copies: Counter[str] = Counter()
    for content in files:
        balances: dict[str, Decimal] = defaultdict(Decimal)
        for row in csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")):
            balances[row["reference"]] += Decimal(row["amount"])
            copies[row["reference"]] += balances[row["reference"]] == 0
    held = {reference: times for reference, times in copies.items() if times}
    missing = [reference for reference in expected if reference not in held]
    return Tally(len(held), len(missing), len([times for times in held.values() if times > 1]))
