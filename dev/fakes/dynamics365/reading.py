"""GET: which rows an operation asks for, and how many of them it gets to see."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import UUID

from dev.fakes.dynamics365 import query, rows
from dev.fakes.dynamics365.company import DEFAULT_TEMPLATE, Company
from dev.fakes.dynamics365.entities import ENTITIES
from dev.fakes.dynamics365.errors import dialog, malformed, no_such_record, no_such_resource
from dev.fakes.dynamics365.operations import JSON, Operation, Result, Row
from dev.fakes.dynamics365.paths import Segment
from dev.fakes.ledger import Booked, Entry

if TYPE_CHECKING:
    from dev.fakes.dynamics365.session import Session

SETS = {
    "companies": "company",
    "accounts": "account",
    "taxGroups": "taxGroup",
    "dimensions": "dimension",
    "dimensionValues": "dimensionValue",
    "vendors": "vendor",
    "generalLedgerSetup": "generalLedgerSetup",
    "journals": "journal",
    "journalLines": "journalLine",
    "dimensionSetLines": "dimensionSetLine",
    "generalLedgerEntries": "generalLedgerEntry",
}
"""The entity sets that can be read, and their types."""
INSIDE = {"journal": {"journalLines": "journalLine"}, "journalLine": {"dimensionSetLines": "dimensionSetLine"}}
INSIDE["generalLedgerEntry"] = {"dimensionSetLines": "dimensionSetLine"}
INSIDE["dimension"] = {"dimensionValues": "dimensionValue"}
"""What ``$expand`` takes."""


class Reader:
    """One company as one reader sees it, up to a moment where a replica is behind."""

    def __init__(self, session: Session, company: Company, until: datetime | None) -> None:
        self.session, self.company, self._until = session, company, until

    def rows(self, parts: list[Segment]) -> list[Row]:
        """The rows of the set that the path ends in, its own key not applied yet. Raises BcError."""
        company, names, last = self.company, tuple(part.name for part in parts[1:]), parts[-1].name
        plain: dict[str, Callable[[], list[Row]]] = {
            "accounts": lambda: [rows.account(company, one) for one in company.accounts.values()],
            "taxGroups": lambda: rows.coded(company, "taxGroup", company.tax_groups, taxType="VAT"),
            "dimensions": lambda: rows.dimensions(company),
            "dimensionValues": lambda: rows.dimension_values(company),
            "vendors": lambda: rows.vendors(company),
            "generalLedgerSetup": lambda: [rows.setup(company)],
            "generalLedgerEntries": lambda: [rows.entry(company, *found) for found in self.entries()],
            "journals": lambda: [rows.journal(company, one) for one in company.journals.values()],
        }
        if len(names) == 1 and last in plain:
            return plain[last]()
        if last == "journalLines" and (len(names) == 1 or names == ("journals", "journalLines")):
            return self._lines(parts)
        if last == "dimensionSetLines" and len(names) > 1:
            return self._dimension_set(parts)
        if names == ("dimensions", "dimensionValues"):
            code = self._one([*parts[:-1]], "dimension")["code"]
            return rows.dimension_values(company, code)
        raise no_such_resource("/".join(names))

    def entries(self) -> list[tuple[Booked, Entry]]:
        return [
            (voucher, entry)
            for voucher in self.session.ledger.raw()
            if voucher.owner == self.company.code and (self._until is None or voucher.booked_at <= self._until)
            for entry in voucher.entries
        ]

    def _lines(self, parts: list[Segment]) -> list[Row]:
        key = parts[-2].key if len(parts) > 2 else None
        if key is None and parts[-1].key is None:
            raise dialog("You must specify a journal batch ID or a journal ID to get a journal line.")
        if key is not None and key not in self.company.journals:
            raise no_such_record("journal")
        return [
            rows.line(self.company, journal, line)
            for journal in self.company.journals.values()
            if key in (None, journal.id)
            for line in journal.in_order()
            if line.values["accountType"] not in rows.INVISIBLE
        ]

    def _dimension_set(self, parts: list[Segment]) -> list[Row]:
        parent = parts[-2]
        if parent.name == "generalLedgerEntries":
            found = [entry for _, entry in self.entries() if entry.vendor["id"] == parent.key]
            if not found:
                raise no_such_record("generalLedgerEntry")
            return rows.dimension_set(self.company, found[0].vendor["id"], "General Ledger Entry", found[0].dimensions)
        row = self._one(parts[:-1], "journalLine")
        line = self.company.journals[row["journalId"]].lines[row["id"]]
        return rows.dimension_set(self.company, line.id, "Journal Line", line.dimensions)

    def _one(self, parts: list[Segment], entity: str) -> Row:
        found = [row for row in self.rows(parts) if row["id"] == parts[-1].key]
        if not found:
            raise no_such_record(entity)
        return found[0]

    def version(self, entity: str, row: Row) -> int:
        if entity == "journal":
            return self.company.journals[row["id"]].version
        if entity == "journalLine":
            return self.company.journals[row["journalId"]].lines[row["id"]].version
        return 1


def read(session: Session, parts: list[Segment], operation: Operation) -> Result:
    """Answer a GET. Raises BcError."""
    given = query.options(operation.query)
    last = parts[-1]
    if last.name not in SETS:
        raise no_such_resource(operation.path)
    entity = SETS[last.name]
    if len(parts) == 1:
        companies = [rows.company(company) for company in session.application.companies.values()]
        found, reader = companies, None
    else:
        delayed = operation.headers.get("data-access-intent", "").lower() != "readwrite"
        reader = Reader(session, *session.seen(session.company(parts), delayed))
        found = reader.rows(parts)
    context = f"{session.base}/$metadata#{'/'.join(part.name for part in parts)}"
    names = query.selected(entity, given.get("$select"))
    if last.key is not None:
        one = next((row for row in found if row["id"] == last.key), None)
        if one is None:
            raise no_such_record(entity)
        body = {"@odata.context": f"{context}/$entity", **_shown(session, reader, parts, one, names, given)}
        return Result(200, body, {"content-type": JSON})
    page = _page(session, reader, parts, found, names, given, operation)
    return Result(200, {"@odata.context": context, **page}, {"content-type": JSON})


def _page(
    session: Session,
    reader: Reader | None,
    parts: list[Segment],
    found: list[Row],
    names: list[str],
    given: dict[str, str],
    operation: Operation,
) -> dict[str, Any]:
    """What the options leave of the rows: one page, and where the next one is."""
    entity, wanted = SETS[parts[-1].name], given.get("$filter")
    if entity == "journal" and "templateDisplayName" not in (wanted or ""):
        # Without a filter on it, only batches of the default template [AL] (A3).
        found = [row for row in found if row["templateDisplayName"] == DEFAULT_TEMPLATE]
    found = query.ordered(query.matching(found, entity, wanted), entity, given.get("$orderby"))
    body: dict[str, Any] = {"@odata.count": len(found)} if given.get("$count") == "true" else {}
    start = (query.number(given, "$skip") or 0) + (query.number(given, "$skiptoken") or 0)
    top = query.number(given, "$top")
    found = found[start:] if top is None else found[start : start + top]
    size = min(session.manners.page_size, _preferred(operation))
    body["value"] = [_shown(session, reader, parts, row, names, given) for row in found[:size]]
    if len(found) > size:
        rest = {**given, "$skiptoken": str((query.number(given, "$skiptoken") or 0) + size)}
        if top is not None:
            rest["$top"] = str(top - size)
        body["@odata.nextLink"] = f"{session.base}/{operation.path.lstrip('/')}?{urlencode(rest)}"
    return body


def _preferred(operation: Operation) -> int:
    """``Prefer: odata.maxpagesize=n`` [MS]."""
    _, _, size = operation.headers.get("prefer", "").partition("odata.maxpagesize=")
    return int(size) if size.isdigit() and int(size) > 0 else query.PAGE_SIZE


def _shown(
    session: Session, reader: Reader | None, parts: list[Segment], row: Row, names: list[str], given: dict[str, str]
) -> Row:
    entity = SETS[parts[-1].name]
    found = session.entity(entity, row, names, reader.version(entity, row) if reader else 1)
    for name in filter(None, given.get("$expand", "").split(",")):
        inner = INSIDE.get(entity, {}).get(name.strip())
        if inner is None or reader is None:
            raise malformed(f"Could not find a property named '{name}' on type 'Microsoft.NAV.{entity}'.")
        below = [*parts[:-1], Segment(parts[-1].name, UUID(str(row["id"]))), Segment(name.strip(), None)]
        found[name.strip()] = [session.entity(inner, one, list(ENTITIES[inner])) for one in reader.rows(below)]
    return found
