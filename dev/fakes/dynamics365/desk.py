"""Writes to journals, their lines and the lines' dimensions (A4), each within the open transaction."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from dev.fakes.dynamics365 import lines, rows
from dev.fakes.dynamics365.company import DEFAULT_TEMPLATE, Company, Journal, Line, id_of
from dev.fakes.dynamics365.entities import read
from dev.fakes.dynamics365.errors import (
    BcError,
    malformed,
    no_such_record,
    no_such_resource,
    not_related,
    read_only,
    same_key,
)
from dev.fakes.dynamics365.etags import check
from dev.fakes.dynamics365.operations import JSON, Operation, Result
from dev.fakes.dynamics365.paths import Segment
from dev.fakes.dynamics365.reading import SETS
from dev.fakes.dynamics365.session import Session


class Desk:
    """One write to one company."""

    def __init__(self, session: Session, company: Company, operation: Operation) -> None:
        self._session, self._company, self._operation = session, company, operation
        self._changes = session.changes

    def journal(self, key: UUID | None, body: dict[str, Any]) -> Result:
        if key is None:
            return self._new_journal(body)
        journal = self._company.journals.get(key)
        if journal is None:
            raise no_such_record("journal")
        self._check_etag(journal)
        if self._operation.method == "DELETE":
            self._changes.drop(self._company.journals, key)
            return self._gone()
        given = read("journal", body)
        self._change_journal(journal, given)
        self._touch(journal)
        return self._answer(200, "journal", rows.journal(self._company, journal), journal.version)

    def _new_journal(self, body: dict[str, Any]) -> Result:
        below = body.get("journalLines", [])
        given = read("journal", {name: value for name, value in body.items() if name != "journalLines"})
        code, template = given.get("code", ""), given.get("templateDisplayName") or DEFAULT_TEMPLATE
        if not code:
            raise BcError(400, "Application_FieldValidationException", "Name must have a value in Gen. Journal Batch.")
        if template not in self._company.templates:
            raise not_related("Journal Template Name", "Gen. Journal Batch", template, "Gen. Journal Template")
        journal = Journal(uuid4(), code, "", template, self._session.now)
        self._change_journal(journal, given)
        self._changes.put(self._company.journals, journal.id, journal)
        for line in below if isinstance(below, list) else []:  # deep insert [MS] (A5)
            self._new_line(journal, line)
        return self._answer(201, "journal", rows.journal(self._company, journal), 1, f"journals({journal.id})")

    def _change_journal(self, journal: Journal, given: dict[str, Any]) -> None:
        for name in ("id", "lastModifiedDateTime", "balancingAccountNumber"):
            if name in given:
                raise read_only(name)
        code = given.get("code", journal.code)
        other = self._company.journal_named(code, journal.template)
        if other is not None and other is not journal:
            raise same_key("Gen. Journal Batch", f"Journal Template Name='{journal.template}',Name='{code}'")
        self._changes.set(journal, "code", code)
        self._changes.set(journal, "name", given.get("displayName", journal.name))
        if given.get("balancingAccountId"):
            account = self._company.account_by_id(given["balancingAccountId"])
            self._changes.set(journal, "balancing_account", account.number if account else "")

    def line(self, parts: list[Segment], body: dict[str, Any]) -> Result:
        if parts[-1].key is None:
            journal = journal_of(self._company, parts)
            line = self._new_line(journal, body)
            where = f"journals({journal.id})/journalLines({line.id})"
            return self._answer(201, "journalLine", rows.line(self._company, journal, line), 1, where)
        journal, line = self._find(parts)
        self._check_etag(line)
        if self._operation.method == "DELETE":
            self._keep_lines(journal)
            del journal.lines[line.id]
            return self._gone()
        given = read("journalLine", body)
        for name in ("values", "dimensions", "number"):
            value = getattr(line, name)
            self._changes.set(line, name, dict(value) if isinstance(value, dict) else value)
        if given.get("lineNumber") not in (None, line.number):
            raise read_only("lineNumber")
        lines.validate(self._company, journal, line, given)
        self._touch(line)
        return self._answer(200, "journalLine", rows.line(self._company, journal, line), line.version)

    def _new_line(self, journal: Journal, body: Any) -> Line:
        if not isinstance(body, dict):
            raise malformed("The request body must be a JSON object.")
        below = body.get("dimensionSetLines", [])
        given = read("journalLine", {name: value for name, value in body.items() if name != "dimensionSetLines"})
        line = lines.written(self._company, journal, given, self._session.now, self._session.delivery)
        for dimension in below if isinstance(below, list) else []:
            lines.add_dimension(self._company, line, read("dimensionSetLine", dimension))
        self._keep_lines(journal)
        journal.lines[line.id] = line
        return line

    def _keep_lines(self, journal: Journal) -> None:
        self._changes.set(journal, "lines", dict(journal.lines))

    def dimension(self, parts: list[Segment], body: dict[str, Any]) -> Result:
        _, line = self._find(parts[:-1])
        before, key = dict(line.dimensions), parts[-1].key
        self._changes.set(line, "dimensions", before)
        given = read("dimensionSetLine", body)
        if key is None:
            code, status = lines.add_dimension(self._company, line, given), 201
        else:
            found = [one for one in before if id_of(self._company.code, "dimension", one) == key]
            if not found:
                raise no_such_record("dimensionSetLine")
            code, status = found[0], 200
            check(self._operation.headers.get("if-match"), key, 1, self._session.manners.etag_mismatch)
            if self._operation.method == "DELETE":
                line.dimensions = {one: value for one, value in before.items() if one != code}
                return self._gone()
            lines.change_dimension(self._company, line, code, given)
        self._touch(line)
        wanted = {code: line.dimensions[code]}
        row = rows.dimension_set(self._company, line.id, "Journal Line", wanted)[0]
        where = f"journalLines({line.id})/dimensionSetLines({row['id']})"
        return self._answer(status, "dimensionSetLine", row, 1, where if status == 201 else None)

    def _find(self, parts: list[Segment]) -> tuple[Journal, Line]:
        key, above = parts[-1].key, parts[-2].key if parts[-2].name == "journals" else None
        for journal in self._company.journals.values():
            if key in journal.lines and above in (None, journal.id):
                return journal, journal.lines[key]
        raise no_such_record("journalLine")

    def _check_etag(self, record: Journal | Line) -> None:
        given = self._operation.headers.get("if-match")
        check(given, record.id, record.version, self._session.manners.etag_mismatch)

    def _touch(self, record: Journal | Line) -> None:
        self._changes.set(record, "version", record.version + 1)
        self._changes.set(record, "modified", self._session.now)

    @staticmethod
    def _gone() -> Result:
        return Result(204)

    def _answer(self, status: int, entity: str, row: dict[str, Any], version: int, where: str | None = None) -> Result:
        session, company = self._session, self._company.code
        names = {kind: name for name, kind in SETS.items()}
        context = f"{session.base}/$metadata#companies({company})/{names[entity]}/$entity"
        headers = {"content-type": JSON, "odata-version": "4.0"}
        if where is not None:
            headers["location"] = f"{session.base}/companies({company})/{where}"
        return Result(status, {"@odata.context": context, **session.entity(entity, row, version=version)}, headers)


def journal_of(company: Company, parts: list[Segment]) -> Journal:
    """The journal that a path goes through. Raises BcError."""
    if parts[1].name != "journals" or parts[1].key is None:
        raise no_such_resource("/".join(part.name for part in parts))
    found = company.journals.get(parts[1].key)
    if found is None:
        raise no_such_record("journal")
    return found
