"""What is asked before anything is written, in one request: is it booked already, and would it be refused?

A refusal when a journal is posted names no voucher, and would divide the batch again and again; so what can be known
before is asked before [AL, EDMX: the fields]: the days that may be posted on, the company's currency, the accounts. And
the ledger: whatever went wrong earlier, what stands there under our reference is not sent again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from worker.adapters._dynamics365_errors import Part
from worker.adapters._dynamics365_ledger import Booked, any_of, code_of, held, questions, read
from worker.adapters._dynamics365_lines import Prepared, Reason, rejected
from worker.adapters._dynamics365_odata import Operation, Session
from worker.contract import Outcome, Verdict, Voucher

_SETUP = "generalLedgerSetup?$select=allowPostingFrom,allowPostingTo,localCurrencyCode"
_ACCOUNTS = "number,blocked,directPosting,accountType"
_POSTING = ("", "POSTING")


async def survey(session: Session, prepared: Prepared) -> Prepared:
    """What is left to be sent. Raises AdapterError: nothing was written."""
    vouchers = prepared.vouchers
    if not vouchers:
        return prepared
    accounts = sorted({line.account for voucher in vouchers for line in voucher.lines if not line.subledger})
    ledger = questions(vouchers)
    chart = [Operation("GET", f"accounts?$filter={text}&$select={_ACCOUNTS}") for text in any_of("number", accounts)]
    parts = await session.ask([*ledger, Operation("GET", _SETUP), *chart])
    there = await held(session, vouchers, parts[: len(ledger)])
    rules = Rules(await _setup(session, parts[len(ledger)]), await _chart(session, parts[len(ledger) + 1 :]))
    return prepared.without(
        {voucher.reference: outcome for voucher in vouchers if (outcome := _outcome(voucher, there, rules))}
    )


def _outcome(voucher: Voucher, there: Mapping[str, Booked], rules: Rules) -> Outcome | None:
    booked = there[voucher.reference]
    if booked.is_whole:
        return Outcome(voucher.reference, Verdict.EXPORTED, external_id=booked.entries[0].number)
    if booked.entries:
        message = "Business Central has entries of the voucher already: it was not sent."
        return Outcome(voucher.reference, Verdict.UNKNOWN, message=message)
    fault = rules.fault(voucher)
    return rejected(voucher.reference, fault) if fault else None


@dataclass(frozen=True, slots=True)
class Setup:
    """What the company allows; ``None`` where it sets no limit."""

    currency: str | None = None
    posting_from: date | None = None
    posting_to: date | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What a voucher must keep. ``chart`` is the accounts that were asked for, ``None`` if they may not be read."""

    setup: Setup
    chart: Mapping[str, Mapping[str, Any]] | None

    def fault(self, voucher: Voucher) -> Reason | None:
        setup, day = self.setup, voucher.posting_date
        if setup.currency and setup.currency != voucher.currency.upper():
            return "currency_unsupported", {"currency": voucher.currency, "ledgerCurrency": setup.currency}
        if setup.posting_from and day < setup.posting_from:
            closed = (setup.posting_from - timedelta(days=1)).isoformat()
            return "period_closed", {"postingDate": day.isoformat(), "closedUntil": closed}
        if setup.posting_to and day > setup.posting_to:
            return "refused_by_vendor", {"message": f"Posting is allowed until {setup.posting_to}, and not on {day}."}
        codes = dict.fromkeys(line.account for line in voucher.lines if not line.subledger)
        return next((fault for code in codes if (fault := self._fault_of_account(code))), None)

    def _fault_of_account(self, code: str) -> Reason | None:
        if self.chart is None:
            return None
        account = self.chart.get(code.upper())
        if account is None:
            return "account_unknown", {"code": code}
        if account.get("blocked") is True:
            return "refused_by_vendor", {"message": f"Account {code} is blocked in Business Central."}
        if account.get("directPosting") is False:
            return "refused_by_vendor", {"message": f"Account {code} does not allow direct posting."}
        if code_of(account, "accountType") not in _POSTING:
            return "refused_by_vendor", {"message": f"Account {code} is a heading or a total."}
        return None


async def _setup(session: Session, part: Part | None) -> Setup:
    """The limits; none where the application may not read them: posting then has the last word."""
    if part is None or part.complaint is not None or not isinstance(part.body, Mapping):
        return Setup()
    row = next(iter(await session.rest_of(part.body)), None) if "value" in part.body else part.body
    row = row or {}
    return Setup(
        code_of(row, "localCurrencyCode") or None, _day(row.get("allowPostingFrom")), _day(row.get("allowPostingTo"))
    )


async def _chart(session: Session, parts: Sequence[Part | None]) -> dict[str, Mapping[str, Any]] | None:
    if any(part is None or part.complaint is not None for part in parts):
        return None
    rows = [row for part in parts for row in await read(session, part)]
    return {code_of(row, "number"): row for row in rows}


def _day(value: Any) -> date | None:
    """A date of Business Central; its year 1 stands for none."""
    try:
        day = date.fromisoformat(str(value))
    except ValueError:
        return None
    return day if day.year > 1 else None
