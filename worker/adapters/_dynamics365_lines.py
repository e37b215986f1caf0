"""A voucher as lines of a general journal, and what Business Central's refusals say of them.

What is known, and from where (the marks are explained in ``dynamics365.py``):

* ``documentNumber`` takes 20 characters and is on every line, so it is our reference; ``externalDocumentNumber`` takes
  35 and carries our voucher number; ``description`` 100, ``comment`` 250; accounts, tax codes, dimensions 20 [EDMX].
* Debit is positive [LIVE]; amounts are JSON numbers in the company's own currency: there is no currency on a line
  [EDMX].
* What is left out of a line is taken from the line before it: posting date and number are on every line [AL].
* ``lineNumber`` is part of the key, so a line that is sent twice is refused the second time [AL].
* Values are checked with what came before them: the type of an account before its number, a code before its value [AL].
* The account type is left out for G/L accounts, which is the default; ``Vendor`` is one that journals show [AL].
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from worker.adapters._dynamics365_errors import Complaint
from worker.adapters._dynamics365_settings import Dynamics365Settings
from worker.contract import Line, Outcome, Verdict, Voucher
from worker.errors import TransformationError

Reason = tuple[str, Mapping[str, Any]]

LINE_STEP = 10_000
_CODE = 20

_NOT_RELATED = re.compile(
    r"field (?P<field>.+?) of table .+? contains a value \((?P<code>.*?)\) that cannot be found in the related table"
    r" \((?P<table>.+?)\)"
)  # [MS]
_TABLES = {
    "g/l account": "account_unknown",
    "vendor": "subledger_unknown",
    "tax group": "vat_code_unknown",
    "vat product posting group": "vat_code_unknown",
    "dimension value": "dimension_unknown",
}
_NO_ACCOUNT = re.compile(r'"account(Number|Id)" does not match to an? ', re.IGNORECASE)
_NO_DIMENSION = re.compile(r'"code" does not match to a Dimension\b', re.IGNORECASE)
_NO_VALUE = re.compile(r'"valueCode" does not match to a Dimension Value', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One line on its way: ``number`` is its own in the journal."""

    number: int
    voucher: Voucher
    line: Line

    @property
    def body(self) -> dict[str, Any]:
        voucher, line = self.voucher, self.line
        account = {"accountType": "Vendor", "accountNumber": line.subledger} if line.subledger else {}
        return {
            "lineNumber": self.number,
            **(account or {"accountNumber": line.account}),
            "postingDate": voucher.posting_date.isoformat(),
            "documentNumber": voucher.reference,
            "externalDocumentNumber": str(voucher.voucher_number),
            "amount": _number(line.amount),
            "description": line.description[:100],
            "comment": f"{voucher.claim_number} {voucher.documentation_url or ''}".strip()[:250],
            **({"taxCode": line.vat_code} if line.vat_code else {}),
            **({"dimensionSetLines": self.dimensions} if self.dimensions else {}),
        }

    @property
    def dimensions(self) -> list[dict[str, str]]:
        return [{"code": name.upper(), "valueCode": value} for name, value in self.line.dimensions.items() if value]

    def fault(self, complaint: Complaint) -> Reason:
        """Why this line was refused, in our words."""
        said = complaint.message
        related = _NOT_RELATED.search(said)
        if related is not None and related["table"].lower() in _TABLES:
            return _TABLES[related["table"].lower()], {"code": related["code"]}
        if _NO_ACCOUNT.search(said):
            code = self.line.subledger or self.line.account
            return ("subledger_unknown" if self.line.subledger else "account_unknown"), {"code": code}
        if _NO_DIMENSION.search(said):
            return "dimension_unsupported", {"dimension": ", ".join(self.line.dimensions)}
        if _NO_VALUE.search(said):
            return "dimension_unknown", {"code": ", ".join(self.line.dimensions.values())}
        return "refused_by_vendor", {"message": said}


@dataclass(frozen=True, slots=True)
class Prepared:
    """What of a batch can be sent, and the outcomes of what is not."""

    vouchers: tuple[Voucher, ...]
    settled: tuple[Outcome, ...] = ()

    def lines(self) -> list[JournalLine]:
        pairs = ((voucher, line) for voucher in self.vouchers for line in voucher.lines)
        return [JournalLine(number * LINE_STEP, *pair) for number, pair in enumerate(pairs, start=1)]

    def without(self, outcomes: Mapping[str, Outcome]) -> Prepared:
        """The rest, when these are settled."""
        left = tuple(voucher for voucher in self.vouchers if voucher.reference not in outcomes)
        return replace(self, vouchers=left, settled=(*self.settled, *outcomes.values()))


def prepare(vouchers: Sequence[Voucher], settings: Dynamics365Settings) -> Prepared:
    """What Business Central could not take, whatever it holds, is rejected here."""
    faults = {voucher.reference: fault for voucher in vouchers if (fault := _fault(voucher, settings.currency))}
    return Prepared(tuple(vouchers)).without({name: rejected(name, fault) for name, fault in faults.items()})


def rejected(reference: str, fault: Reason, message: str | None = None) -> Outcome:
    return Outcome(reference, Verdict.REJECTED, None, fault[0], fault[1], message)


def envelopes(lines: Sequence[JournalLine], most: int) -> Iterator[list[JournalLine]]:
    """The lines in pieces of at most so many; a voucher is cut only when it is longer than a piece."""
    piece: list[JournalLine] = []
    for voucher in _by_voucher(lines):
        if piece and len(piece) + len(voucher) > most:
            yield piece
            piece = []
        for start in range(0, len(voucher), most):
            part = voucher[start : start + most]
            if len(piece) + len(part) > most:
                yield piece
                piece = []
            piece = piece + part
    if piece:
        yield piece


def _by_voucher(lines: Sequence[JournalLine]) -> list[list[JournalLine]]:
    found: dict[str, list[JournalLine]] = {}
    for line in lines:
        found.setdefault(line.voucher.reference, []).append(line)
    return list(found.values())


def _fault(voucher: Voucher, currency: str) -> Reason | None:
    if voucher.currency != currency:
        return "currency_unsupported", {"currency": voucher.currency, "ledgerCurrency": currency}
    return next((fault for line in voucher.lines if (fault := _too_long(line))), None)


def _too_long(line: Line) -> Reason | None:
    """A code that no field of Business Central can hold is one that it does not know."""
    codes = {"account_unknown": line.account, "subledger_unknown": line.subledger, "vat_code_unknown": line.vat_code}
    for reason, code in codes.items():
        if code and len(code) > _CODE:
            return reason, {"code": code}
    for name, value in line.dimensions.items():
        if value and len(name) > _CODE:
            return "dimension_unsupported", {"dimension": name}
        if len(value) > _CODE:
            return "dimension_unknown", {"code": value}
    return None


def _number(amount: Decimal) -> int | float:
    """A JSON number that says exactly this amount."""
    if amount == amount.to_integral_value():
        return int(amount)
    number = float(amount)
    if Decimal(repr(number)) != amount:
        raise TransformationError(f"The amount {amount} has too many digits for Business Central.")
    return number
