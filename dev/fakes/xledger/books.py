"""What an Xledger domain holds: its legal entities (owners) with their charts, and the rows of the import queue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import count
from typing import Any

from dev import chart
from dev.fakes.xledger.schema import VendorError

Register = dict[str, str]
"""Code to description."""

SOURCES = {"GL": "General ledger", "AR": "Accounts receivable", "AP": "Accounts payable", "SO": "Sales order"}
CURRENCIES = {
    "NOK": "Norske kroner",
    "EUR": "Euro",
    "SEK": "Svenske kronor",
    "DKK": "Danske kroner",
    "USD": "US dollar",
}

VOLUNTEERS = {f"E{number}": f"Frivillig {number}" for number in range(1001, 1100)}

FIELDS: dict[str, str] = {
    "account": "accounts",
    "subledger": "subledgers",
    "taxRule": "tax_rules",
    "project": "projects",
    "product": "products",
    "transactionSource": "sources",
    "currency": "currencies",
    **{f"glObject{n}": "objects" for n in range(1, 6)},
}
"""The reference inputs whose code must exist, by the register it must be in."""
REGISTERS = sorted(set(FIELDS.values()))


@dataclass(eq=False)
class Owner:
    """A legal entity: its registers, and the day up to which its periods are closed.

    ``children`` are entities that its tokens reach too; a row may name one of them as its owner.
    """

    name: str
    code: str
    db_id: int
    accounts: Register = field(repr=False, default_factory=lambda: dict(chart.ACCOUNTS))
    subledgers: Register = field(repr=False, default_factory=lambda: dict(VOLUNTEERS))
    tax_rules: Register = field(repr=False, default_factory=lambda: dict(chart.TAX_RULES))
    objects: Register = field(repr=False, default_factory=lambda: dict(chart.DEPARTMENTS))
    projects: Register = field(repr=False, default_factory=lambda: dict(chart.PROJECTS))
    products: Register = field(repr=False, default_factory=lambda: dict(chart.PRODUCTS))
    sources: Register = field(repr=False, default_factory=lambda: dict(SOURCES))
    currencies: Register = field(repr=False, default_factory=lambda: dict(CURRENCIES))
    closed_until: date | None = None
    children: list[Owner] = field(default_factory=list)

    def reach(self) -> list[Owner]:
        """This entity and those below it."""
        return [self, *(entity for child in self.children for entity in child.reach())]

    def id_of(self, register: str, code: str) -> int:
        """The stable dbId of an entry of a register."""
        at = list(getattr(self, register)).index(code)
        return self.db_id * 100_000 + REGISTERS.index(register) * 10_000 + at

    def find(self, name: str, given: Mapping[str, Any]) -> tuple[str, str]:
        """The (code, description) that a reference input means. Raises the vendor's error when there is none."""
        register: Register = getattr(self, FIELDS[name])
        if given.get("showAlternatives") == "YES":
            raise VendorError(
                f"{name}: see exampleValidInputs.", extensions={"exampleValidInputs": self.examples(name)}
            )
        if given.get("code") is not None:
            code = str(given["code"])
            if code not in register:
                raise VendorError(f"{name}.code: No value matching owner {self.db_id}, code '{code}'.")
            return code, register[code]
        wanted = given.get("dbId")
        for code, description in register.items():
            if self.id_of(FIELDS[name], code) == wanted:
                return code, description
        raise VendorError(f"{name}.dbId: No value matching owner {self.db_id}, dbId '{wanted}'.")

    def examples(self, name: str) -> list[dict[str, Any]]:
        register: Register = getattr(self, FIELDS[name])
        return [
            {"code": code, "dbId": self.id_of(FIELDS[name], code), "ownerDbId": self.db_id, "text": text}
            for code, text in register.items()
        ]


@dataclass(eq=False)
class Row:
    """A row of the import queue: one line of a voucher, as it was sent. Times are local and naive, as the vendor's."""

    db_id: int
    owner: Owner
    delivery: int
    node: dict[str, Any]
    created_at: datetime
    modified_at: datetime
    due_at: datetime | None
    client_id: str | None = None
    refused: bool = False

    @property
    def number(self) -> int | None:
        return self.node.get("trRegNumber")

    @property
    def reference(self) -> str:
        """What the voucher is known by: the invoice number, else the external identifier."""
        return self.node.get("invoiceNumber") or self.node.get("extIdentifier") or ""


@dataclass(eq=False)
class ImportFault:
    """What the import job has to say about a row."""

    db_id: int
    owner: Owner
    row: Row
    message: str
    created_at: datetime


class Books:
    """The state of one Xledger domain besides the ledger itself."""

    def __init__(self) -> None:
        self.tokens: dict[str, Owner] = {}
        self.read_only: set[str] = set()
        self.queue: dict[int, Row] = {}
        self.errors: dict[int, ImportFault] = {}
        self.owner_numbers = count(1000)
        self.ids = count(90_000_001)
        self.numbers = count(1_000_001)
        self.deliveries = count(1)

    def owners(self) -> list[Owner]:
        return list({entity.db_id: entity for owner in self.tokens.values() for entity in owner.reach()}.values())

    def vouchers_in_queue(self) -> list[list[Row]]:
        """The queued rows by voucher: the same owner and the same trRegNumber, whoever sent them and how often."""
        groups: dict[tuple[int, str], list[Row]] = defaultdict(list)
        for row in self.queue.values():
            key = f"number {row.number}" if row.number is not None else f"row {row.db_id}"
            groups[row.owner.db_id, key].append(row)
        return list(groups.values())

    def queued(self, reference: str) -> list[Row]:
        return [row for row in self.queue.values() if row.reference == reference]

    def remove(self, db_ids: Collection[int]) -> None:
        """Take rows out of the queue, and what was said about them with them."""
        for db_id in db_ids:
            del self.queue[db_id]
        self.forget_errors(db_ids)

    def forget_errors(self, db_ids: Iterable[int]) -> None:
        """Drop what the import job said about these rows."""
        if self.errors:
            gone = set(db_ids)
            self.errors = {key: error for key, error in self.errors.items() if error.row.db_id not in gone}
