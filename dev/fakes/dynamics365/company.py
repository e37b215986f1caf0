"""What a company in Business Central holds: its registers, its setup, its journals. What is posted is in the ledger.

Every setting that the contract names as a trap (A10) is an attribute here: of the general ledger's setup, of the
journal template, or of one journal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

from dev import chart

VENDORS = {f"E{number}": f"Frivillig {number}" for number in range(1001, 1100)}
"""Volunteers whose claims are owed to them by name."""
BANKS = {"BANK": "Driftskonto"}
DEFAULT_TEMPLATE = "GENERAL"
CATEGORIES = {"1": "Assets", "2": "Liabilities", "3": "Income", "4": "Cost of Goods Sold"}


def id_of(*words: str) -> UUID:
    """The same id for the same thing in every run."""
    return uuid5(NAMESPACE_URL, "/".join(words))


@dataclass
class Account:
    """A G/L account. ``vat_percent`` is set where it has VAT posting setup (A10.8)."""

    id: UUID
    number: str
    name: str
    blocked: bool = False
    direct_posting: bool = True
    account_type: str = "Posting"
    vat_percent: Decimal | None = None
    default_dimensions: dict[str, str] = field(default_factory=dict)
    mandatory_dimensions: set[str] = field(default_factory=set)

    @property
    def category(self) -> str:
        return CATEGORIES.get(self.number[:1], "Expense")


@dataclass
class Setup:
    """General Ledger Setup. ``job_queue_seconds``: *Post with Job Queue* is on, and the job runs so much later."""

    currency: str = "NOK"
    allow_posting_from: date | None = None
    allow_posting_to: date | None = None
    job_queue_seconds: float | None = None


@dataclass
class Template:
    """A general journal template."""

    name: str = DEFAULT_TEMPLATE
    force_doc_balance: bool = True
    increment_batch_name: bool = False


@dataclass(eq=False)
class Line:
    """A journal line. ``delivery`` is the request that wrote it, ``by`` who did."""

    id: UUID
    number: int
    values: dict[str, Any]
    dimensions: dict[str, str]
    modified: datetime
    delivery: int
    by: str = "api"
    version: int = 1

    @property
    def is_blank(self) -> bool:
        """One that says nothing: posting leaves it out."""
        return not (self.values["accountNumber"] or self.values["amount"] or self.values["balancingAccountNumber"])


@dataclass(eq=False)
class Journal:
    """A journal, which is a general journal *batch*. ``due`` is when the job queue will post it."""

    id: UUID
    code: str
    name: str
    template: str
    modified: datetime
    balancing_account: str = ""
    no_series: str = ""
    posting_no_series: str = ""
    copy_vat_setup: bool = True
    lines: dict[UUID, Line] = field(default_factory=dict)
    due: datetime | None = None
    refusal: str = ""
    version: int = 1

    def in_order(self) -> list[Line]:
        return sorted(self.lines.values(), key=lambda line: line.number)


def _accounts(code: str) -> dict[str, Account]:
    found = {number: Account(id_of(code, "account", number), number, name) for number, name in chart.ACCOUNTS.items()}
    found["2710"] = Account(id_of(code, "account", "2710"), "2710", "Inngående merverdiavgift", direct_posting=False)
    return found


@dataclass(eq=False)
class Company:
    """A company: one general ledger. ``code`` is its id as text, and the owner's code in the fake's ledger."""

    id: UUID
    name: str
    created: datetime
    accounts: dict[str, Account] = field(repr=False, default_factory=dict)
    vendors: dict[str, str] = field(repr=False, default_factory=lambda: dict(VENDORS))
    customers: dict[str, str] = field(repr=False, default_factory=dict)
    banks: dict[str, str] = field(repr=False, default_factory=lambda: dict(BANKS))
    tax_groups: dict[str, str] = field(repr=False, default_factory=lambda: dict(chart.TAX_RULES))
    dimensions: dict[str, dict[str, str]] = field(
        repr=False,
        default_factory=lambda: {
            "DEPARTMENT": dict(chart.DEPARTMENTS),
            "PROJECT": dict(chart.PROJECTS),
            "PRODUCT": dict(chart.PRODUCTS),
        },
    )
    setup: Setup = field(default_factory=Setup)
    templates: dict[str, Template] = field(default_factory=lambda: {DEFAULT_TEMPLATE: Template()})
    journals: dict[UUID, Journal] = field(default_factory=dict)
    payables: str = "2400"
    receivables: str = "1500"
    bank_account: str = "1920"
    vat_account: str = "2710"

    def __post_init__(self) -> None:
        self.accounts = self.accounts or _accounts(self.code)

    @property
    def code(self) -> str:
        return str(self.id)

    def account_by_id(self, wanted: UUID) -> Account | None:
        return next((account for account in self.accounts.values() if account.id == wanted), None)

    def register(self, account_type: str) -> Mapping[str, Any]:
        """The numbers that a line of this type may name."""
        registers = {"Customer": self.customers, "Vendor": self.vendors, "Bank Account": self.banks}
        return self.accounts if account_type == "G/L Account" else registers.get(account_type, {})

    def journal_named(self, code: str, template: str) -> Journal | None:
        return next((one for one in self.journals.values() if (one.code, one.template) == (code, template)), None)


class Numbers:
    """What counts up, over all companies."""

    def __init__(self) -> None:
        self.entries = count(1)
        self.transactions = count(1)
        self.deliveries = count(1)
        self.posted = count(1)


def blank_line(number: int, now: datetime) -> Line:
    values: dict[str, Any] = {
        "accountType": "G/L Account",
        "accountNumber": "",
        "postingDate": None,
        "documentNumber": "",
        "externalDocumentNumber": "",
        "amount": Decimal(0),
        "description": "",
        "comment": "",
        "taxCode": "",
        "balanceAccountType": "G/L Account",
        "balancingAccountNumber": "",
    }
    return Line(uuid4(), number, values, {}, now, delivery=0)
