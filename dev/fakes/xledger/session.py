"""One authenticated request to the fake Xledger: the root fields of its queries and mutations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dev.fakes.ledger import Booked, Entry, Ledger
from dev.fakes.xledger import nodes
from dev.fakes.xledger.books import FIELDS, Books, ImportFault, Owner, Row
from dev.fakes.xledger.listing import Listing
from dev.fakes.xledger.nodes import Id, Node
from dev.fakes.xledger.schema import VendorError, VendorErrors

MOST_NODES = 500
"""Nodes in one mass mutation."""
OWNERS_BELOW = ("LOWER", "ALL")
"""Values of ``ownerSet`` that include sub-entities; without one, a list is of the token's own entity. The names are
seen in integrators' code, what they mean is an inference."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How this Xledger behaves where the contract leaves it open."""

    atomicity: str
    empty: str
    import_delay: float | None
    unwanted_text: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """The token's owner, and what it reaches. ``now`` is local time without an offset."""

    owner: Owner
    books: Books
    ledger: Ledger
    now: datetime
    shown: Id
    manners: Manners
    may_write: bool = True
    between: Callable[[], None] = lambda: None
    """Called after each root field that reads: what happens inside Xledger while it still answers."""

    def root(self) -> Mapping[str, Any]:
        names = ("glImportItems", "glImportItemErrors", "journalEntries", "journalHeaders", "transactions", "accounts")
        readers = {name: self._reader(name) for name in names}
        return {**readers, "addGLImportItems": self.add_items, "removeGLImportItems": self.remove_items}

    # -- reading -------------------------------------------------------------------------------------------------------

    def _reader(self, name: str) -> Any:
        def read(_info: object, **arguments: Any) -> Node | None:
            connection = self._listing(name, arguments.get("ownerSet")).connection(arguments)
            self.between()
            if connection["edges"] is None and self.manners.empty != "edges_null":
                return {**connection, "edges": []} if self.manners.empty == "list" else None
            return connection

        return read

    def _listing(self, name: str, owner_set: str | None) -> Listing[Any]:
        entities = self.owner.reach() if owner_set in OWNERS_BELOW else [self.owner]
        reach, codes = {entity.db_id for entity in entities}, {entity.code for entity in entities}
        if name == "glImportItems":
            rows = [row for row in self.books.queue.values() if row.owner.db_id in reach]
            return Listing(rows, _row_fact, lambda row: nodes.queue_row(row, self.shown))
        if name == "glImportItemErrors":
            faults = [fault for fault in self.books.errors.values() if fault.owner.db_id in reach]
            return Listing(faults, _fault_fact, lambda fault: nodes.import_error(fault, self.shown))
        if name == "accounts":
            accounts = self.owner.examples("account")
            return Listing(accounts, lambda account, key: account[key], self._account)
        vouchers = [voucher for voucher in self.ledger.raw() if voucher.owner in codes]
        if name == "journalHeaders":
            return Listing(vouchers, _header_fact, lambda voucher: nodes.journal_header(voucher, self.shown))
        entries = [(voucher, *numbered) for voucher in vouchers for numbered in enumerate(voucher.entries, 1)]
        if name == "transactions":
            return Listing(entries, _entry_fact, lambda line: nodes.transaction(line[0], line[2], line[1], self.shown))
        return Listing(entries, _entry_fact, lambda line: nodes.journal_entry(line[0], line[2], self.shown))

    def _account(self, account: Mapping[str, Any]) -> Node:
        ids = {name: self.shown(account[name]) for name in ("dbId", "ownerDbId")}
        return {**ids, "code": account["code"], "description": account["text"]}

    # -- writing -------------------------------------------------------------------------------------------------------

    def add_items(self, _info: object, inputs: Sequence[Mapping[str, Any]]) -> Node:
        """Insert rows into the import queue; nothing is known of earlier ones with the same identifiers."""
        self._check_write("addGLImportItems", len(inputs))
        delivery, rows, faults = next(self.books.deliveries), [], []
        for given in inputs:
            try:
                rows.append(self._row(given, delivery))
            except VendorError as fault:
                faults.append(fault)
        if not faults or self.manners.atomicity == "partial":
            self.books.queue.update({row.db_id: row for row in rows})
        if faults:
            raise VendorErrors(faults[:1])
        edges = [{"clientId": row.client_id, "node": nodes.queue_row(row, self.shown)} for row in rows]
        return {"edges": edges or None}

    def _row(self, given: Mapping[str, Any], delivery: int) -> Row:
        node = dict(given["node"])
        if node.get("text") is not None and node["text"] == self.manners.unwanted_text:
            raise VendorError("The text is not allowed.")
        owner = self._owner(node.pop("owner", None))
        for name in FIELDS:
            if node.get(name) is not None:
                code, description = owner.find(name, node[name])
                node[name] = {"code": code, "description": description}
        delay = self.manners.import_delay
        due = None if delay is None else self.now + timedelta(seconds=delay)
        return Row(next(self.books.ids), owner, delivery, node, self.now, self.now, due, given.get("clientId"))

    def _owner(self, given: Mapping[str, Any] | None) -> Owner:
        """The entity that a row names, else the token's own."""
        if not given:
            return self.owner
        for entity in self.owner.reach():
            if given.get("dbId") == entity.db_id or entity.code in (given.get("code"), given.get("ownerCode")):
                return entity
        wanted = given.get("code") or given.get("ownerCode") or given.get("dbId")
        raise VendorError(f"owner.code: No value matching owner {self.owner.db_id}, code '{wanted}'.")

    def remove_items(self, _info: object, dbIds: Sequence[int] | None = None) -> Node:  # noqa: N803  # the vendor's name
        """Take rows out of the queue; the ones that are not there (any more) are skipped."""
        self._check_write("removeGLImportItems", len(dbIds or ()))
        reach = {entity.db_id for entity in self.owner.reach()}
        queue = self.books.queue
        there = {db_id for db_id in dbIds or () if db_id in queue and queue[db_id].owner.db_id in reach}
        skipped = [self.shown(db_id) for db_id in dbIds or () if db_id not in there]
        self.books.remove(there)
        return {"numAffected": len(there), "skippedDbIds": skipped or None}

    def _check_write(self, name: str, size: int) -> None:
        if not self.may_write:
            raise VendorError(f"The API token has no write access for {name}.")
        if size > MOST_NODES:
            raise VendorError(f"{name}: at most {MOST_NODES} nodes are allowed, got {size}.")


def _row_fact(row: Row, name: str) -> Any:
    known = {"dbId": row.db_id, "modifiedAt": row.modified_at, "createdAt": row.created_at}
    return known[name] if name in known else row.node.get(name)


def _fault_fact(fault: ImportFault, name: str) -> Any:
    return {"dbId": fault.db_id, "createdAt": fault.created_at, "transactionDbId": fault.row.db_id}[name]


def _header_fact(voucher: Booked, name: str) -> Any:
    facts = {"dbId": voucher.header_id, "trRegNumber": voucher.voucher_number, "transactionNumber": voucher.number}
    return facts[name]


def _entry_fact(line: tuple[Booked, int, Entry], name: str) -> Any:
    voucher, _, entry = line
    if name == "dbId":
        return entry.entry_id
    if name in ("modifiedAt", "createdAt"):
        return voucher.booked_at
    return voucher.number if name == "transactionNumber" else entry.vendor["node"].get(name)
