"""Posting a journal: all of its lines or none, whoever wrote them (A7, A10).

The checks and their sentences are [AL]. What is posted leaves the journal in the same transaction, which is why a
journal of one's own cannot be posted twice.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from uuid import uuid4

from dev.fakes.dynamics365.changes import Changes
from dev.fakes.dynamics365.company import Account, Company, Journal, Line, Numbers, blank_line
from dev.fakes.dynamics365.errors import dialog
from dev.fakes.dynamics365.lines import CENT, next_number
from dev.fakes.dynamics365.postable import check
from dev.fakes.ledger import Booked, Entry, Ledger


class Posting:
    """One posting of one journal. ``by`` is who posts: the API, the job queue, an accountant."""

    def __init__(self, company: Company, ledger: Ledger, numbers: Numbers, now: datetime, by: str = "api") -> None:
        self._company, self._ledger, self._numbers, self._now, self._by = company, ledger, numbers, now, by

    def post(self, journal: Journal, changes: Changes) -> list[Booked]:
        """Book the journal's lines and empty it. Raises BcError, and then nothing has happened."""
        lines = [line for line in journal.in_order() if not line.is_blank]
        if not lines:
            raise dialog("There is nothing to post.")
        check(self._company, journal, lines)
        vouchers = [self._voucher(journal, group) for group in _by_document(lines)]
        changes.set(journal, "lines", {})
        changes.set(journal, "due", None)
        for voucher in vouchers:
            self._ledger.book(voucher)
        self._leave(journal, changes)
        changes.commit()
        return vouchers

    def _voucher(self, journal: Journal, lines: Sequence[Line]) -> Booked:
        first = lines[0].values
        sent, shown = first["documentNumber"], first["documentNumber"]
        if journal.posting_no_series:
            shown = f"{journal.posting_no_series}{next(self._numbers.posted):05}"
        return Booked(
            header_id=next(self._numbers.transactions),
            number=next(self._numbers.transactions),
            reference=sent,
            voucher_number=_number(first["externalDocumentNumber"]),
            owner=self._company.code,
            posted_date=first["postingDate"],
            booked_at=self._now,
            currency=self._company.setup.currency,
            entries=tuple(entry for line in lines for entry in self._entries(journal, line, shown)),
            deliveries=_deliveries(lines),
            by=self._by,
        )

    def _entries(self, journal: Journal, line: Line, document: str) -> list[Entry]:
        amount: Decimal = line.values["amount"]
        account = self._company.accounts.get(line.values["accountNumber"])
        vat = self._vat(journal, line, account) if line.values["accountType"] == "G/L Account" else Decimal(0)
        found = [self._entry(line, document, self._ledger_account(line, ""), amount - vat)]
        if vat:
            found.append(self._entry(line, document, self._company.vat_account, vat))
        if line.values["balancingAccountNumber"]:
            found.append(self._entry(line, document, self._ledger_account(line, "balancing"), -amount))
        return found

    def _vat(self, journal: Journal, line: Line, account: Account | None) -> Decimal:
        """What Business Central splits out of the amount, which is "total amount incl. VAT" [MS] (A10.8)."""
        if account is None or account.vat_percent is None or not journal.copy_vat_setup:
            return Decimal(0)
        amount: Decimal = line.values["amount"]
        return amount - (amount * 100 / (100 + account.vat_percent)).quantize(CENT, ROUND_HALF_UP)

    def _ledger_account(self, line: Line, side: str) -> str:
        """The G/L account of a line's account: of a vendor, what is owed to vendors."""
        kind = line.values["balanceAccountType" if side else "accountType"]
        number: str = line.values["balancingAccountNumber" if side else "accountNumber"]
        company = self._company
        control = {"Vendor": company.payables, "Customer": company.receivables, "Bank Account": company.bank_account}
        return control.get(kind, number)

    def _entry(self, line: Line, document: str, account: str, amount: Decimal) -> Entry:
        values = line.values
        return Entry(
            entry_id=next(self._numbers.entries),
            account=account,
            amount=amount,
            text=values["description"],
            vat_code=values["taxCode"] or None,
            subledger=values["accountNumber"] if values["accountType"] in ("Vendor", "Customer") else None,
            line_reference=values["externalDocumentNumber"] or None,
            dimensions=dict(line.dimensions),
            vendor={"id": uuid4(), "documentNumber": document, "comment": values["comment"], "line": line.number},
        )

    def _leave(self, journal: Journal, changes: Changes) -> None:
        """One blank line where the batch has no number series; a batch of the next name where the template says so."""
        name = next_number(journal.code)
        if self._company.templates[journal.template].increment_batch_name and name:
            changes.drop(self._company.journals, journal.id)
            renewed = Journal(uuid4(), name, journal.name, journal.template, self._now, journal.balancing_account)
            renewed.no_series, renewed.posting_no_series = journal.no_series, journal.posting_no_series
            changes.put(self._company.journals, renewed.id, renewed)
            journal = renewed
        if not journal.no_series:
            blank = blank_line(10_000, self._now)
            changes.set(journal, "lines", {blank.id: blank})


def _by_document(lines: Sequence[Line]) -> list[list[Line]]:
    groups: dict[tuple[date, str], list[Line]] = defaultdict(list)
    for line in lines:
        groups[line.values["postingDate"], line.values["documentNumber"]].append(line)
    return list(groups.values())


def _deliveries(lines: Sequence[Line]) -> int:
    """How often the voucher came: each time its lines, request by request, sum to nothing, it is there once more."""
    by_request: dict[int, Decimal] = defaultdict(Decimal)
    for line in lines:
        by_request[line.delivery] += line.values["amount"]
    balance, times = Decimal(0), 0
    for amount in by_request.values():
        balance += amount
        times += balance == 0
    return max(times, 1)


def _number(text: str) -> int | None:
    """The voucher number in an external document number, where it is all of it or follows a word."""
    found = re.fullmatch(r"\D*(\d+)", text)
    return int(found[1]) if found else None
