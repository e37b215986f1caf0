"""What a company holds, as rows of the API's entities: values by property name, before they are filtered and shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from dev.fakes.dynamics365.company import Account, Company, Journal, Line, id_of
from dev.fakes.dynamics365.edm import NO_ID
from dev.fakes.ledger import Booked, Entry

Row = dict[str, Any]
NO_DATE = date(1, 1, 1)
"""How a date that is not set looks [REC]."""
INVISIBLE = ("Fixed Asset", "IC Partner", "Employee")
"""Account types whose lines GET journalLines does not list [AL] (A3)."""


def company(held: Company) -> Row:
    return {
        "id": held.id,
        "systemVersion": "26.0",
        "timestamp": 1,
        "name": held.name[:30],
        "displayName": held.name,
        "businessProfileId": "",
        "systemCreatedAt": held.created,
        "systemCreatedBy": NO_ID,
        "systemModifiedAt": held.created,
        "systemModifiedBy": NO_ID,
    }


def account(held: Company, one: Account) -> Row:
    return {
        "id": one.id,
        "number": one.number,
        "displayName": one.name,
        "category": one.category,
        "subCategory": "",
        "blocked": one.blocked,
        "accountType": one.account_type,
        "directPosting": one.direct_posting,
        "netChange": Decimal(0),
        "lastModifiedDateTime": held.created,
    }


def setup(held: Company) -> Row:
    return {
        "id": id_of(held.code, "setup"),
        "allowPostingFrom": held.setup.allow_posting_from or NO_DATE,
        "allowPostingTo": held.setup.allow_posting_to or NO_DATE,
        "localCurrencyCode": held.setup.currency,
        "lastModifiedDateTime": held.created,
    }


def coded(held: Company, register: str, codes: Mapping[str, str], **more: Any) -> list[Row]:
    """The entries of a register: an id, a code, a name."""
    return [
        {
            "id": id_of(held.code, register, code),
            "code": code,
            "displayName": name,
            "lastModifiedDateTime": held.created,
            **more,
        }
        for code, name in codes.items()
    ]


def dimensions(held: Company) -> list[Row]:
    return coded(held, "dimension", {code: code.title() for code in held.dimensions}, consolidationCode="")


def dimension_values(held: Company, dimension: str | None = None) -> list[Row]:
    """The values of one dimension, or of all."""
    found = []
    for code, values in held.dimensions.items():
        if dimension in (None, code):
            more = {"dimensionId": id_of(held.code, "dimension", code), "consolidationCode": ""}
            found += coded(held, f"dimension/{code}", values, **more)
    return found


def vendors(held: Company) -> list[Row]:
    return [
        {"id": id_of(held.code, "vendor", number), "number": number, "displayName": name}
        for number, name in held.vendors.items()
    ]


def journal(held: Company, one: Journal) -> Row:
    balancing = held.accounts.get(one.balancing_account)
    return {
        "id": one.id,
        "code": one.code,
        "displayName": one.name,
        "templateDisplayName": one.template,
        "lastModifiedDateTime": one.modified,
        "balancingAccountId": balancing.id if balancing else NO_ID,
        "balancingAccountNumber": one.balancing_account,
    }


def line(held: Company, one: Journal, of: Line) -> Row:
    return {
        "id": of.id,
        "journalId": one.id,
        "journalDisplayName": one.code,
        "lineNumber": of.number,
        "accountId": account_id(held, of.values["accountType"], of.values["accountNumber"]),
        "balancingAccountId": account_id(held, of.values["balanceAccountType"], of.values["balancingAccountNumber"]),
        "lastModifiedDateTime": of.modified,
        **of.values,
        "postingDate": of.values["postingDate"] or NO_DATE,
    }


def account_id(held: Company, account_type: str, number: str) -> UUID:
    """Ids are there for G/L accounts and banks alone [AL] (A10.9)."""
    if account_type == "Bank Account" and number in held.banks:
        return id_of(held.code, "bank", number)
    found = held.accounts.get(number) if account_type == "G/L Account" else None
    return found.id if found else NO_ID


def dimension_set(held: Company, parent: UUID, kind: str, given: Mapping[str, str]) -> list[Row]:
    return [
        {
            "id": id_of(held.code, "dimension", code),
            "code": code,
            "consolidationCode": "",
            "parentId": parent,
            "parentType": kind,
            "displayName": code.title(),
            "valueId": id_of(held.code, f"dimension/{code}", value),
            "valueCode": value,
            "valueConsolidationCode": "",
            "valueDisplayName": held.dimensions.get(code, {}).get(value, ""),
        }
        for code, value in sorted(given.items())
    ]


def entry(held: Company, voucher: Booked, booked: Entry) -> Row:
    """A row of ``generalLedgerEntries``: no external document number [AL][EDMX]. Made once, for it never changes."""
    if "row" not in booked.vendor:
        booked.vendor["row"] = _entry(held, voucher, booked)
    row: Row = booked.vendor["row"]
    return row


def _entry(held: Company, voucher: Booked, booked: Entry) -> Row:
    found = held.accounts.get(booked.account)
    return {
        "id": booked.vendor["id"],
        "entryNumber": booked.entry_id,
        "postingDate": voucher.posted_date,
        "documentNumber": booked.vendor["documentNumber"],
        "documentType": " ",
        "accountId": found.id if found else NO_ID,
        "accountNumber": booked.account,
        "description": booked.text,
        "debitAmount": max(booked.amount, Decimal(0)),
        "creditAmount": max(-booked.amount, Decimal(0)),
        "additionalCurrencyDebitAmount": Decimal(0),
        "additionalCurrencyCreditAmount": Decimal(0),
        "lastModifiedDateTime": voucher.booked_at,
    }
