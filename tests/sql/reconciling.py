"""A period that is reconciled: what is booked in it, asked for, and what came of it."""

from __future__ import annotations

from typing import Any, LiteralString
from uuid import UUID

from tests.fix_bilag import Organisation
from tests.sql.fake_worker import Item, Job
from tests.sql.vendor_with_memory import Vendor, export

REQUEST: LiteralString = "select bilag.request_reconciliation(%s, 'xledger', '2026-03-01', '2026-03-31')"


def request(org: Organisation) -> UUID:
    made = org.database.value(REQUEST, org.id)
    assert isinstance(made, UUID)
    return made


def status(org: Organisation, reconciliation: UUID) -> dict[str, Any]:
    return dict(org.database.value("select bilag.reconciliation_status(%s)", reconciliation))


def counted(org: Organisation, reconciliation: UUID) -> dict[str, int]:
    """The counts that are not zero."""
    return {name: n for name, n in status(org, reconciliation)["vouchers"].items() if n}


def vanished(org: Organisation) -> list[tuple[Any, ...]]:
    return org.database.sql(
        "select details -> 'claims', resolved_at is null from bilag.alerts where kind = 'voucher_vanished' order by id"
    )


def book(org: Organisation, vendor: Vendor, count: int = 5) -> None:
    org.approve(count)
    export(org, vendor)
    assert set(org.states().values()) == {"exported"}


def missing(*numbers: str, outcome: Any = "absent") -> Any:
    """Everything stands but these."""

    def answer(job: Job, item: Item) -> Any:
        assert job["kind"] == "reconcile", "a reconciliation neither posts nor finds"
        return outcome if item["voucher"]["claimNumber"] in numbers else "exported"

    return answer
