"""An administrator's hands: the settings of a company that the contract names as traps (A10)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

from dev.fakes.dynamics365.company import DEFAULT_TEMPLATE, Account, Company, Journal, Template, id_of

Companies = Callable[[], list[Company]]


class Administrator:
    """Somebody who sets Business Central up. ``owner`` is a company's id; without one, all companies are meant."""

    def __init__(self, companies: Companies, now: Callable[[], datetime]) -> None:
        self._companies, self._now = companies, now

    def set_up(self, owner: str | None = None, **settings: Any) -> None:
        """Change General Ledger Setup: ``job_queue_seconds=30``, ``allow_posting_from="2026-01-01"``, ``currency``."""
        for company in self._meant(owner):
            for name, value in settings.items():
                is_day = name.startswith("allow") and isinstance(value, str)
                _set(company.setup, name, date.fromisoformat(value) if is_day else value)

    def set_template(self, name: str = DEFAULT_TEMPLATE, owner: str | None = None, **settings: bool) -> None:
        """Make a journal template, or change it: ``force_doc_balance``, ``increment_batch_name``."""
        for company in self._meant(owner):
            template = company.templates.setdefault(name, Template(name))
            for setting, value in settings.items():
                _set(template, setting, value)

    def set_journal(
        self, code: str, template: str = DEFAULT_TEMPLATE, owner: str | None = None, **settings: Any
    ) -> None:
        """Make a journal, or change it: ``balancing_account``, ``(posting_)no_series``, ``copy_vat_setup``.

        One that a user makes in the client usually has them from its template [AL].
        """
        for company in self._meant(owner):
            journal = company.journal_named(code, template)
            if journal is None:
                journal = Journal(uuid4(), code, code, template, self._now())
                company.journals[journal.id] = journal
            for name, value in settings.items():
                _set(journal, name, value)
            journal.version += 1

    def set_account(self, number: str, owner: str | None = None, **settings: Any) -> None:
        """Open an account, or change it: ``blocked``, ``direct_posting``, ``vat_percent``, ``default_dimensions``, …"""
        for company in self._meant(owner):
            new = Account(id_of(company.code, "account", number), number, f"Konto {number}")
            account = company.accounts.setdefault(number, new)
            for name, value in settings.items():
                _set(account, name, _of_account(name, value))

    def add_codes(self, register: str, codes: dict[str, Any], owner: str | None = None) -> None:
        """Add to a register (``vendors``, ``customers``, ``banks``, ``tax_groups``, ``dimensions``)."""
        for company in self._meant(owner):
            getattr(company, register).update(codes)

    def close_period(self, until: str | None, owner: str | None = None) -> None:
        """Allow posting only after this day (``YYYY-MM-DD``); ``None`` allows all of it again."""
        for company in self._meant(owner):
            day = None if until is None else date.fromisoformat(until)
            company.setup.allow_posting_from = None if day is None else date.fromordinal(day.toordinal() + 1)

    def _meant(self, owner: str | None) -> list[Company]:
        return [company for company in self._companies() if owner in (None, company.code)]


def _of_account(name: str, value: Any) -> Any:
    """A setting as it comes over the control API, in its own type."""
    if name == "mandatory_dimensions":
        return set(value)
    return Decimal(str(value)) if name == "vat_percent" and value is not None else value


def _set(record: object, name: str, value: Any) -> None:
    """Raises LookupError for a setting that does not exist."""
    if not hasattr(record, name):
        raise LookupError(f"{type(record).__name__} has no setting {name!r}.")
    setattr(record, name, value)
