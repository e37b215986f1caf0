"""From the rows that Xledger holds to a verdict on each voucher: whole, partial, absent or unknown.

A row is ours by ``extIdentifier`` (reference and line number), or, where that was lost, by ``invoiceNumber``. A voucher
is whole when every line is there once with its amount. In the ledger a line with a VAT code may have been split into
net and tax, so there it is enough that the voucher still sums to zero. Nothing here asks anything of Xledger.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from worker.contract import Finding, Presence, Voucher

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the queue or of the ledger that is ours. ``line_no`` is ``None`` where only the reference is known."""

    row_id: str
    reference: str
    line_no: int | None
    amount: Decimal | None
    number: str | None


def row_of(node: Mapping[str, Any], references: Collection[str]) -> Row | None:
    """The row of this node if it belongs to one of the references. An id may be a number or a string [T X6]."""
    reference, _, line_no = str(node.get("extIdentifier") or "").rpartition("-")
    if reference not in references or not line_no.isdecimal():
        reference, line_no = str(node.get("invoiceNumber") or ""), ""
    if reference not in references:
        return None
    number = node.get("transactionNumber")
    return Row(
        row_id=str(node.get("dbId")),
        reference=reference,
        line_no=int(line_no) if line_no else None,
        amount=_amount(node.get("amount")),
        number=None if number is None else str(number),
    )


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that was seen of one voucher."""

    voucher: Voucher
    queued: tuple[Row, ...]
    posted: tuple[Row, ...]

    @property
    def is_settled(self) -> bool:
        """Whole, and in one place only: another look would say nothing new."""
        return bool(self.queued) != bool(self.posted) and self.is_whole

    @property
    def overlaps(self) -> bool:
        """Some line was seen in the queue and in the ledger."""
        return bool(_by_line(self.queued).keys() & _by_line(self.posted).keys())

    @property
    def is_doubled(self) -> bool:
        """Some line is there more than once: twice in the queue, in both places, or with twice its amount."""
        posted, amounts = _by_line(self.posted), {line.line_no: line.amount for line in self.voucher.lines}
        return (
            self.overlaps
            or any(len(rows) > 1 for rows in _by_line(self.queued).values())
            or any(len(rows) > 1 and _sum(rows) == len(rows) * amounts.get(no, 0) for no, rows in posted.items())
        )

    @property
    def is_whole(self) -> bool:
        rows = (*self.queued, *self.posted)
        found = _by_line(rows)
        if not found:
            # Nothing but our reference came through; the amounts then speak for the lines.
            return _sorted(row.amount for row in rows) == _sorted(line.amount for line in self.voucher.lines)
        if found.keys() != {line.line_no for line in self.voucher.lines}:
            return False
        off = [line for line in self.voucher.lines if _sum(found[line.line_no]) != line.amount]
        was_split = not self.queued and _sum(rows) == 0 and all(line.vat_code for line in off)
        return not off or was_split

    @property
    def lacks_lines(self) -> bool:
        found = _by_line((*self.queued, *self.posted))
        return any(line.line_no not in found for line in self.voucher.lines)


def gather(vouchers: Sequence[Voucher], queued: Iterable[Row], posted: Iterable[Row]) -> list[Evidence]:
    """The rows of each voucher."""
    in_queue, in_ledger = _by_reference(queued), _by_reference(posted)
    return [
        Evidence(voucher, tuple(in_queue[voucher.reference]), tuple(in_ledger[voucher.reference]))
        for voucher in vouchers
    ]


def judge(evidence: Evidence, complaints: Mapping[str, str], *, is_complete: bool) -> Finding:
    """The verdict. ``complaints`` are the import errors of queued vouchers, by reference.

    ``is_complete`` says that nothing at the vendor was left unread.
    """
    reference = evidence.voucher.reference
    if not evidence.queued and not evidence.posted and is_complete:
        return Finding(reference, Presence.ABSENT)
    presence, message = _presence(evidence, is_complete=is_complete)
    return Finding(
        reference,
        presence,
        posted=bool(evidence.posted) and not evidence.queued,
        external_id=next((row.number for row in evidence.posted if row.number), None),
        import_error=complaints.get(reference),
        message=message,
    )


def _presence(evidence: Evidence, *, is_complete: bool) -> tuple[Presence, str | None]:
    if evidence.is_doubled:
        return Presence.UNKNOWN, "Xledger holds the voucher more than once."
    if evidence.is_whole:
        return Presence.WHOLE, None
    if not is_complete:
        return Presence.UNKNOWN, "Xledger holds more rows than could be looked through."
    if evidence.lacks_lines:
        held = len(evidence.queued) + len(evidence.posted)
        return Presence.PARTIAL, f"Xledger holds {held} of the voucher's {len(evidence.voucher.lines)} lines."
    return Presence.UNKNOWN, "Xledger holds the voucher with other amounts."


def complaints_about(evidence: Iterable[Evidence], errors: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The import errors by the reference of the queued voucher they are about.

    An error's ``dbId`` is that of the import item by one account [T X6]; ``transactionDbId`` and the message may name
    it too. Which it is has not been seen, so any of them counts.
    """
    names: dict[str, str] = {}
    for each in evidence:
        of_voucher = (each.voucher.reference, str(each.voucher.voucher_number))
        for name in (*(row.row_id for row in each.queued), *(of_voucher if each.queued else ())):
            names[name] = each.voucher.reference
    found: dict[str, str] = {}
    for error in errors:
        message = str(error.get("message"))
        said = {str(error.get("dbId")), str(error.get("transactionDbId")), *_WORD.findall(message)}
        found |= {names[name]: message for name in said & names.keys()}
    return found


def _by_line(rows: Iterable[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        if row.line_no is not None:
            found[row.line_no].append(row)
    return dict(found)


def _by_reference(rows: Iterable[Row]) -> defaultdict[str, list[Row]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row.reference].append(row)
    return found


def _sum(rows: Iterable[Row]) -> Decimal | None:
    amounts = [row.amount for row in rows]
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)) if len(known) == len(amounts) else None


def _sorted(amounts: Iterable[Decimal | None]) -> list[str]:
    return sorted(str(amount.normalize()) if amount is not None else "" for amount in amounts)


def _amount(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None
