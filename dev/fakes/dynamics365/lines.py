"""Writing a journal line: what the page and the table make of the values that a client sends (A4).

Properties are validated in the order in which they came, so that an ``accountNumber`` sent before its ``accountType``
is looked up among the G/L accounts; whether Business Central goes by that order or by its page's is unverified, and
this is the harsher of the two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID, uuid4

from dev.fakes.dynamics365.company import Company, Journal, Line, blank_line, id_of
from dev.fakes.dynamics365.edm import NO_ID
from dev.fakes.dynamics365.errors import BcError, dialog, not_related, read_only, same_key

READ_ONLY = ("id", "lastModifiedDateTime")
TABLE = "Gen. Journal Line"
TABLES = {"G/L Account": "G/L Account", "Customer": "Customer", "Vendor": "Vendor", "Bank Account": "Bank Account"}
CENT = Decimal("0.01")


def written(company: Company, journal: Journal, given: Mapping[str, Any], now: datetime, delivery: int) -> Line:
    """The line that an insert makes. Raises BcError."""
    number = given.get("lineNumber") or max((line.number for line in journal.lines.values()), default=0) + 10_000
    if any(line.number == number for line in journal.lines.values()):
        key = f"Journal Template Name='{journal.template}',Journal Batch Name='{journal.code}',Line No.='{number}'"
        raise same_key(TABLE, key)
    line = replace(blank_line(number, now), id=uuid4(), delivery=delivery)
    line.values["balancingAccountNumber"] = journal.balancing_account
    if not (given.get("postingDate") and given.get("documentNumber")):
        _inherit(line, [one for one in journal.in_order() if not one.is_blank], now)
    validate(company, journal, line, given)
    if not line.values["description"]:
        line.values["description"] = _account_name(company, line)
    return line


def validate(company: Company, journal: Journal, line: Line, given: Mapping[str, Any]) -> None:
    """Write the values that were sent onto the line, one by one. Raises BcError."""
    for name, value in given.items():
        if name in READ_ONLY:
            raise read_only(name)
        if name == "journalDisplayName" and value != journal.code:
            raise dialog("The Journal Batch Display Name isn't editable.")
        _check(company, line, name, value)
        if name in ("accountId", "balancingAccountId"):
            _by_id(company, line, name, value)
        elif name == "amount":
            line.values[name] = value.quantize(CENT, ROUND_HALF_UP)
        elif name in line.values and not (name in ("postingDate", "documentNumber", "description") and not value):
            line.values[name] = value
        if name in ("accountNumber", "accountId"):
            account = company.accounts.get(line.values["accountNumber"])
            line.dimensions = dict(account.default_dimensions) if account else {}


def add_dimension(company: Company, line: Line, given: Mapping[str, Any]) -> str:
    """Put a dimension on the line; returns its code. Raises BcError, also when it is there already [AL]."""
    code, value = _dimension(company, given)
    if code in line.dimensions:
        raise dialog(
            "The dimension set line already exists. Check existing dimension set lines and the default dimension set"
            " lines on the parent."
        )
    line.dimensions = {**line.dimensions, code: value}
    return code


def change_dimension(company: Company, line: Line, code: str, given: Mapping[str, Any]) -> None:
    _, value = _dimension(company, {"code": code, **given})
    line.dimensions = {**line.dimensions, code: value}


def next_number(text: str) -> str:
    """``IncStr``: the last number in a text, plus one; nothing where there is none (A10.3)."""
    found = re.fullmatch(r"(.*?)(\d+)(\D*)", text)
    return "" if found is None else f"{found[1]}{int(found[2]) + 1:0{len(found[2])}}{found[3]}"


def _inherit(line: Line, earlier: list[Line], now: datetime) -> None:
    """Posting date and document number of the line before; the number counts up once its document balances."""
    if not earlier:
        line.values["postingDate"] = now.date()
        return
    last = earlier[-1].values
    number = last["documentNumber"]
    balance = sum((one.values["amount"] for one in earlier if one.values["documentNumber"] == number), Decimal(0))
    line.values["postingDate"] = last["postingDate"]
    line.values["documentNumber"] = (next_number(number) or number) if balance == 0 else number


def _check(company: Company, line: Line, name: str, value: Any) -> None:
    """Whether what a number names is there."""
    if name == "accountNumber" and value:
        kind = line.values["accountType"]
        if value not in company.register(kind):
            raise (
                dialog('The "accountNumber" does not match to an Account.')
                if kind == "G/L Account"
                else not_related("Account No.", TABLE, value, TABLES.get(kind, kind))
            )
    if name == "balancingAccountNumber" and value:
        kind = line.values["balanceAccountType"]
        if value not in company.register(kind):
            raise not_related("Bal. Account No.", TABLE, value, TABLES.get(kind, kind))
    if name == "taxCode" and value and value not in company.tax_groups:
        raise not_related("VAT Prod. Posting Group", TABLE, value, "VAT Product Posting Group")


def _by_id(company: Company, line: Line, name: str, value: UUID) -> None:
    if value == NO_ID:
        return
    number_of, type_of = ("accountNumber", "accountType")
    if name == "balancingAccountId":
        number_of, type_of = ("balancingAccountNumber", "balanceAccountType")
    account = company.account_by_id(value)
    bank = next((code for code in company.banks if id_of(company.code, "bank", code) == value), None)
    if account is None and bank is None:
        raise _no_account(name)
    line.values[type_of] = "G/L Account" if account else "Bank Account"
    line.values[number_of] = account.number if account else bank


def _no_account(name: str) -> BcError:
    return dialog(f'The "{name}" does not match to an Account.')


def _dimension(company: Company, given: Mapping[str, Any]) -> tuple[str, str]:
    code, value = given.get("code", ""), given.get("valueCode", "")
    if "id" in given and not code:
        code = next((one for one in company.dimensions if id_of(company.code, "dimension", one) == given["id"]), "")
    if code not in company.dimensions:
        raise dialog('The "code" does not match to a Dimension.')
    values = company.dimensions[code]
    if "valueId" in given and not value:
        value = next((one for one in values if id_of(company.code, f"dimension/{code}", one) == given["valueId"]), "")
    if value not in values:
        raise dialog('The "valueCode" does not match to a Dimension Value.')
    return code, value


def _account_name(company: Company, line: Line) -> str:
    number = line.values["accountNumber"]
    if line.values["accountType"] == "G/L Account":
        return company.accounts[number].name if number in company.accounts else ""
    return str(company.register(line.values["accountType"]).get(number, ""))
