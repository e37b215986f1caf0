"""What Business Central's ledger holds of vouchers, and what that proves.

``generalLedgerEntries`` are found by ``documentNumber``, which is our reference; they have no external number [AL,
EDMX]. Each plain line is one entry of its account and amount. A line with a VAT code may have been split into net and
tax, and a vendor's line is booked on the account that its posting group names [A10.8, INF]: of these it is enough that
the voucher still sums to nothing. ``or`` over one field is allowed, over two it is not [MS].
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

from worker.adapters._dynamics365_errors import Part, inner_error
from worker.adapters._dynamics365_odata import Operation, Session
from worker.contract import Voucher
from worker.errors import AdapterError, Executed

TOGETHER = 20
"""References or accounts that one question names: its URL stays within some kilobytes."""

_FIELDS = "entryNumber,postingDate,documentNumber,accountNumber,debitAmount,creditAmount"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the ledger: debit positive."""

    number: str
    reference: str
    account: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Booked:
    """What the ledger holds of one voucher."""

    voucher: Voucher
    entries: tuple[Entry, ...]

    @property
    def is_whole(self) -> bool:
        """Each plain line is there once, and all of it sums to nothing."""
        if not self.entries or self.is_doubled:
            return False
        found, wanted = _counted((e.account, e.amount) for e in self.entries), self._plain
        others_may_differ = sum(wanted.values()) < len(self.voucher.lines)
        fits = wanted <= found if others_may_differ else wanted == found
        return fits and sum((entry.amount for entry in self.entries), Decimal(0)) == 0

    @property
    def is_doubled(self) -> bool:
        """Each plain line is there at least twice; where none is plain, the settlement's amount is."""
        found = _counted((e.account, e.amount) for e in self.entries)
        if self._plain:
            return all(found[key] >= 2 * count for key, count in self._plain.items())
        owed = self.voucher.lines[-1].amount
        return sum(entry.amount == owed for entry in self.entries) > 1

    @property
    def _plain(self) -> Counter[tuple[str, Decimal]]:
        lines = (line for line in self.voucher.lines if not line.vat_code and not line.subledger and line.amount)
        return _counted((line.account, line.amount) for line in lines)


async def booked(session: Session, vouchers: Sequence[Voucher]) -> dict[str, Booked]:
    """What the ledger holds of each of these vouchers. Raises AdapterError."""
    return await held(session, vouchers, await session.ask(questions(vouchers)))


async def held(session: Session, vouchers: Sequence[Voucher], parts: Sequence[Part | None]) -> dict[str, Booked]:
    """The same, from the answers to :func:`questions`. Raises AdapterError."""
    return gather(vouchers, [entry for part in parts for entry in entries(await read(session, part))])


def questions(vouchers: Sequence[Voucher]) -> list[Operation]:
    """What asks the ledger for these vouchers."""
    references = [voucher.reference for voucher in vouchers]
    filters = any_of("documentNumber", references)
    return [Operation("GET", f"generalLedgerEntries?$filter={text}&$select={_FIELDS}") for text in filters]


def any_of(field: str, values: Sequence[str]) -> Iterator[str]:
    """Filters that together match a field with any of these values."""
    for start in range(0, len(values), TOGETHER):
        yield " or ".join(f"{field} eq {literal(value)}" for value in values[start : start + TOGETHER])


def literal(value: str) -> str:
    """A string as OData writes it, ready for a URL."""
    return "'" + quote(value.replace("'", "''"), safe="") + "'"


async def read(session: Session, part: Part | None) -> list[Mapping[str, Any]]:
    """All rows of what a question in a batch was answered. Raises AdapterError."""
    if part is None:
        raise AdapterError("Business Central did not answer every question of a batch.", executed=Executed.NO)
    if part.complaint is not None:
        raise inner_error(part.complaint, writes=False)
    return await session.rest_of(part.body if isinstance(part.body, Mapping) else {})


def entries(rows: Iterable[Mapping[str, Any]]) -> Iterator[Entry]:
    for row in rows:
        amount = amount_of(row.get("debitAmount")) - amount_of(row.get("creditAmount"))
        yield Entry(str(row.get("entryNumber")), code_of(row, "documentNumber"), code_of(row, "accountNumber"), amount)


def gather(vouchers: Sequence[Voucher], found: Iterable[Entry]) -> dict[str, Booked]:
    """The entries of each voucher. An entry that an answer repeats is one entry."""
    by_reference: dict[str, dict[str, Entry]] = defaultdict(dict)
    for entry in found:
        by_reference[entry.reference][entry.number] = entry
    return {voucher.reference: Booked(voucher, tuple(by_reference[voucher.reference].values())) for voucher in vouchers}


def code_of(row: Mapping[str, Any], field: str) -> str:
    """A Code field: Business Central stores them in capitals and trimmed [MS]."""
    return str(row.get(field) or "").strip().upper()


def amount_of(value: Any) -> Decimal:
    """Raises AdapterError for what is not a number: a look-up that cannot be read proves nothing."""
    try:
        return Decimal(str(value if value is not None else 0))
    except InvalidOperation:
        raise AdapterError("Business Central answered with an amount that is none.", executed=Executed.NO) from None


def _counted(pairs: Iterable[tuple[str, Decimal]]) -> Counter[tuple[str, Decimal]]:
    return Counter((account.upper(), amount) for account, amount in pairs)
