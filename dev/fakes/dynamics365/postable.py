"""Whether a journal may be posted: the checks and their sentences are [AL] (A7, A10)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from dev.fakes.dynamics365.company import Company, Journal, Line
from dev.fakes.dynamics365.errors import dialog, not_related
from dev.fakes.dynamics365.lines import TABLE


def check(company: Company, journal: Journal, lines: Sequence[Line]) -> None:
    """Raises BcError with the first reason why not."""
    for line in lines:
        _check_line(company, journal, line)
    _check_balance(company, journal, lines)


def _check_line(company: Company, journal: Journal, line: Line) -> None:
    values, setup = line.values, company.setup
    if not values["documentNumber"]:
        raise dialog(f"Document No. must have a value in {TABLE}: {_key(journal, line)}. It cannot be zero or empty.")
    day: date = values["postingDate"]
    if (setup.allow_posting_from and day < setup.allow_posting_from) or (
        setup.allow_posting_to and day > setup.allow_posting_to
    ):
        raise dialog(
            f"Posting Date is not within your range of allowed posting dates in {TABLE}: {_key(journal, line)}."
        )
    if journal.no_series and not re.fullmatch(rf"{re.escape(journal.no_series)}\d+", values["documentNumber"]):
        raise dialog(f"You may not enter numbers manually. Check the number series {journal.no_series}.")
    if values["accountType"] == "G/L Account":
        _check_account(company, line)


def _check_account(company: Company, line: Line) -> None:
    number = line.values["accountNumber"]
    account = company.accounts.get(number)
    if account is None:
        raise not_related("Account No.", TABLE, number, "G/L Account")
    if account.blocked:
        raise dialog(f"Blocked must be equal to 'No' in G/L Account: No.={number}. Current value is 'Yes'.")
    if not account.direct_posting:
        raise dialog(f"Direct Posting must be equal to 'Yes' in G/L Account: No.={number}. Current value is 'No'.")
    if account.account_type != "Posting":
        raise dialog(f"Account Type must be equal to 'Posting' in G/L Account: No.={number}.")
    for code in sorted(account.mandatory_dimensions - set(line.dimensions)):
        raise dialog(f"Select a Dimension Value Code for the Dimension Code {code} for G/L Account {number}.")


def _check_balance(company: Company, journal: Journal, lines: Sequence[Line]) -> None:
    forced = company.templates[journal.template].force_doc_balance
    if forced:
        documents: dict[str, Decimal] = defaultdict(Decimal)
        for line in lines:
            documents[line.values["documentNumber"]] += _own(line)
        for number, balance in documents.items():
            if balance:
                raise dialog(
                    f"Document No. {number} is out of balance by {balance}. Please check that Posting Date,"
                    " Document Type, Document No. and Amount are correct for each line."
                )
    days: dict[date, Decimal] = defaultdict(Decimal)
    for line in lines:
        days[line.values["postingDate"]] += _own(line)
    for day, balance in days.items():
        if balance:
            raise dialog(
                f"The lines in {day} are out of balance by {balance}. Please check that Posting Date and Amount"
                " are correct for each line."
            )


def _own(line: Line) -> Decimal:
    """What a line adds to the balance: nothing, where it has its own balancing account."""
    amount: Decimal = line.values["amount"]
    return Decimal(0) if line.values["balancingAccountNumber"] else amount


def _key(journal: Journal, line: Line) -> str:
    return f"Journal Template Name={journal.template}, Journal Batch Name={journal.code}, Line No.={line.number}"
