"""A claim whose voucher is corrected: its items, its references, and the alerts about it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tests.fix_bilag import Organisation
from tests.sql.fake_worker import FakeWorker
from tests.sql.vendor_with_memory import DAY, REVERSE


def named(org: Organisation, revision: int, *, reversal: bool = False) -> str:
    """The reference of a voucher of C-1, in whatever life of this database it is sent."""
    return str(
        org.database.value(
            "select bilag_internal.reference(id, 'C-1', %s, %s) from bilag.integration_config where org_id = %s",
            revision, reversal, org.id,
        )
    )  # fmt: skip


def items(org: Organisation) -> list[tuple[Any, ...]]:
    return org.database.sql(
        "select revision, reverses is not null, state, reason_code from bilag.export_items order by id"
    )


def alerts(org: Organisation) -> list[str]:
    """The open alerts about vouchers."""
    rows = org.database.sql(
        "select kind from bilag.alerts where resolved_at is null and kind <> 'no_worker' order by kind"
    )
    return [kind for (kind,) in rows]


def reversal_is_in_hand(org: Organisation, worker: FakeWorker, claim: UUID) -> Any:
    """A reversal that is marked and in a worker's hands."""
    org.database.sql(REVERSE, claim, DAY)
    (find,) = worker.settle(worker.claim_one())
    (post,) = worker.settle(find, "absent")
    assert (find["kind"], post["kind"]) == ("find", "post")
    return post
