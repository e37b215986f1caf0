"""An accountant's hands: what people do inside Business Central while Bilag is not looking."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from uuid import uuid4

from dev.fakes.dynamics365 import lines
from dev.fakes.dynamics365.changes import Changes
from dev.fakes.dynamics365.company import DEFAULT_TEMPLATE, Company, Journal, Line, Numbers
from dev.fakes.dynamics365.entities import read
from dev.fakes.dynamics365.errors import BcError
from dev.fakes.dynamics365.posting import Posting
from dev.fakes.ledger import Ledger

Companies = Callable[[], list[Company]]


class Accountant:
    """Somebody with a screen and write access."""

    def __init__(
        self,
        companies: Companies,
        ledger: Ledger,
        numbers: Numbers,
        now: Callable[[], datetime],
        changed: Callable[[datetime], None],
    ) -> None:
        self._companies, self._ledger, self._numbers, self._now = companies, ledger, numbers, now
        self._changed = changed

    def post_leftover(self, reference: str) -> int:
        """Post the journals that hold lines of this document, whole, as a person does; how many vouchers it gave.

        Raises ``LookupError`` when there is none, and BcError when Business Central refuses it.
        """
        with self._at_work():
            found = [(company, journal) for company, journal, _ in self._lines(reference)]
            if not found:
                raise LookupError(f"{reference} is in no journal")
            return sum(self._post(company, journal) for company, journal in dict.fromkeys(found))

    def post_journal(self, code: str) -> int:
        """Post the journals of this code; how many vouchers it gave."""
        with self._at_work():
            return sum(self._post(company, journal) for company, journal in self._journals(code))

    def post_what_stands(self) -> int:
        """Post every journal that has lines, as far as Business Central lets one; how many vouchers it gave."""
        with self._at_work():
            posted = 0
            for company, journal in self._standing():
                try:
                    posted += self._post(company, journal)
                except BcError:
                    continue
            return posted

    def delete_what_stands(self) -> int:
        """Delete every journal that has lines, but for those that the job queue is to post; how many there were."""
        with self._at_work():
            found = [(company, journal) for company, journal in self._standing() if journal.due is None]
            for company, journal in found:
                del company.journals[journal.id]
            return len(found)

    def delete_lines(self, reference: str, most: int | None = None) -> int:
        """Delete this document's lines from the journals (the first ``most`` of them); how many were deleted."""
        with self._at_work():
            found = list(self._lines(reference))[:most]
            for _, journal, line in found:
                del journal.lines[line.id]
            return len(found)

    def delete_journal(self, code: str) -> int:
        """Delete the journals of this code with their lines; how many there were."""
        with self._at_work():
            found = list(self._journals(code))
            for company, journal in found:
                del company.journals[journal.id]
            return len(found)

    def delete_posted(self, reference: str) -> int:
        """Take every booked voucher of this reference out of the ledger; how many there were."""
        with self._at_work():
            found = self._ledger.by_reference().get(reference, [])
            for voucher in found:
                self._ledger.delete(voucher)
            return len(found)

    def add_line(self, code: str, document: str, account: str, amount: str, day: str = "2026-03-01") -> None:
        """Write a line of one's own into a journal of this code, made if it is not there."""
        with self._at_work():
            for company in self._companies():
                journal = company.journal_named(code, DEFAULT_TEMPLATE)
                if journal is None:
                    journal = Journal(uuid4(), code, code, DEFAULT_TEMPLATE, self._now())
                    company.journals[journal.id] = journal
                body = {"accountNumber": account, "documentNumber": document, "postingDate": day}
                given = read("journalLine", body) | read("journalLine", {"amount": Decimal(amount)})
                line = lines.written(company, journal, given, self._now(), next(self._numbers.deliveries))
                line.by = "accountant"
                journal.lines[line.id] = line

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        with self._ledger.lock:
            yield
            self._changed(self._now())

    def _post(self, company: Company, journal: Journal) -> int:
        posting = Posting(company, self._ledger, self._numbers, self._now(), by="accountant")
        return len(posting.post(journal, Changes()))

    def _standing(self) -> list[tuple[Company, Journal]]:
        return [
            (company, journal)
            for company in self._companies()
            for journal in list(company.journals.values())
            if any(not line.is_blank for line in journal.lines.values())
        ]

    def _journals(self, code: str) -> list[tuple[Company, Journal]]:
        return [(held, one) for held in self._companies() for one in held.journals.values() if one.code == code]

    def _lines(self, reference: str) -> Iterator[tuple[Company, Journal, Line]]:
        for company in self._companies():
            for journal in company.journals.values():
                for line in journal.in_order():
                    if line.values["documentNumber"] == reference:
                        yield company, journal, line
