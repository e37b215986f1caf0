"""What an accounting system really booked, and the questions a test or the demo asks of it.

Shared by all fakes. A fake adds vouchers when *it* books them; nothing here trusts what a client believes. A voucher is
found by our reference (20 characters, the same in every attempt) or by its number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from threading import RLock
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One booked line: debit positive, credit negative. ``dimensions`` by the vendor's names."""

    entry_id: int
    account: str
    amount: Decimal
    text: str = ""
    vat_code: str | None = None
    subledger: str | None = None
    line_reference: str | None = None
    dimensions: Mapping[str, str] = field(default_factory=dict)
    vendor: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def as_json(self) -> dict[str, Any]:
        return {
            "account": self.account,
            "amount": str(self.amount),
            "text": self.text,
            "vatCode": self.vat_code,
            "subledger": self.subledger,
            "lineReference": self.line_reference,
            "dimensions": dict(self.dimensions),
        }


@dataclass(frozen=True, slots=True)
class Booked:
    """One voucher as it stands in the ledger.

    ``voucher_number`` is the one its sender gave, ``number`` the vendor's own. ``deliveries`` counts the requests that
    its lines came in: two copies of a voucher that an import merged into one are two deliveries. ``owner`` is the code
    of the legal entity whose ledger it is in. ``booked_at`` is as the vendor writes its times.
    """

    header_id: int
    number: int
    reference: str
    voucher_number: int | None
    owner: str
    posted_date: date
    booked_at: datetime
    currency: str
    entries: tuple[Entry, ...]
    deliveries: int = 1
    by: str = "import"

    @property
    def balance(self) -> Decimal:
        return sum((entry.amount for entry in self.entries), Decimal(0))

    @property
    def debit(self) -> Decimal:
        """The sum of the debit lines."""
        return sum((entry.amount for entry in self.entries if entry.amount > 0), Decimal(0))

    def as_json(self) -> dict[str, Any]:
        return {
            "reference": self.reference,
            "voucherNumber": self.voucher_number,
            "number": self.number,
            "owner": self.owner,
            "postedDate": self.posted_date.isoformat(),
            "bookedAt": self.booked_at.isoformat(),
            "currency": self.currency,
            "debit": str(self.debit),
            "balance": str(self.balance),
            "deliveries": self.deliveries,
            "by": self.by,
            "lines": [entry.as_json() for entry in self.entries],
        }


class Ledger:
    """The vouchers that one accounting system holds, over all of its legal entities.

    ``settle`` is called before every question: what the system had to do by itself until now is done by then.
    """

    def __init__(self, settle: Callable[[], None] = lambda: None) -> None:
        self._settle = settle
        self.lock = RLock()
        """Held by whoever reads or changes what the system holds: requests, the accountant, a question from a test."""
        self._booked: list[Booked] = []

    def book(self, voucher: Booked) -> None:
        self._booked.append(voucher)

    def delete(self, voucher: Booked) -> None:
        """An accountant deletes a booked voucher."""
        self._booked.remove(voucher)

    def raw(self) -> list[Booked]:
        """The vouchers as they are, without letting the system do its own work first."""
        return list(self._booked)

    def vouchers(self, owner: str | None = None) -> list[Booked]:
        """Every booked voucher, in the order of booking; of one legal entity, if its code is given."""
        with self.lock:
            self._settle()
            return [voucher for voucher in self._booked if owner is None or voucher.owner == owner]

    def by_reference(self, owner: str | None = None) -> dict[str, list[Booked]]:
        """The vouchers by our reference; more than one in a list means doubled."""
        found: dict[str, list[Booked]] = defaultdict(list)
        for voucher in self.vouchers(owner):
            found[voucher.reference].append(voucher)
        return dict(found)

    def by_number(self, owner: str | None = None) -> dict[int | None, list[Booked]]:
        """The vouchers by the voucher number that their sender gave."""
        found: dict[int | None, list[Booked]] = defaultdict(list)
        for voucher in self.vouchers(owner):
            found[voucher.voucher_number].append(voucher)
        return dict(found)

    def one(self, reference: str) -> Booked:
        """The voucher with this reference. Raises ``LookupError`` when there is none, or more than one."""
        found = self.by_reference().get(reference, [])
        if len(found) != 1:
            raise LookupError(f"{reference} is booked {len(found)} times")
        return found[0]

    def missing(self, expected: Iterable[str], owner: str | None = None) -> list[str]:
        """The expected references that are not booked."""
        held = self.by_reference(owner)
        return [reference for reference in expected if reference not in held]

    def unexpected(self, expected: Iterable[str], owner: str | None = None) -> list[str]:
        """The booked references that nobody expected."""
        return sorted(set(self.by_reference(owner)) - set(expected))

    def doubled(self, owner: str | None = None) -> dict[str, int]:
        """The references booked more than once, with how often: as several vouchers, or merged into one."""
        times = {
            reference: sum(voucher.deliveries for voucher in vouchers)
            for reference, vouchers in self.by_reference(owner).items()
        }
        return {reference: count for reference, count in times.items() if count > 1}

    def unbalanced(self, owner: str | None = None) -> list[str]:
        """The references of vouchers whose lines do not sum to zero."""
        return [voucher.reference for voucher in self.vouchers(owner) if voucher.balance != 0]

    def sums(self, owner: str | None = None) -> dict[str, Decimal]:
        """The sum per account."""
        total: dict[str, Decimal] = defaultdict(Decimal)
        for voucher in self.vouchers(owner):
            for entry in voucher.entries:
                total[entry.account] += entry.amount
        return dict(sorted(total.items()))
