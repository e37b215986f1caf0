"""A vendor with a memory, for the tests of corrections: what it holds, and how often it was posted."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID

from tests.fix_bilag import Organisation
from tests.sql.fake_worker import FakeWorker, Item, Job

RELEASE: LiteralString = "select bilag.release_for_reexport(%s, 'xledger', 'deleted by the accountant')"
REVERSE: LiteralString = "select bilag.reverse_export(%s, 'xledger', %s, 'booked on the wrong member')"
DAY = "2026-03-02"


class Vendor:
    """What the accounting system holds, by reference; ``work`` posts to it and finds in it."""

    def __init__(self, worker: FakeWorker) -> None:
        self.worker = worker
        self.holds: dict[str, dict[str, Any]] = {}
        self.posts = Counter[str]()

    def answer(self, job: Job, item: Item) -> str:
        voucher = item["voucher"]
        if job["kind"] == "post":
            self.holds[voucher["reference"]] = voucher
            self.posts[voucher["reference"]] += 1
            return "exported"
        return "exported" if voucher["reference"] in self.holds else "absent"

    def work(self) -> list[Job]:
        return self.worker.work(self.answer)

    def book(self, org: Organisation, number: str = "C-1") -> UUID:
        """A claim that is exported."""
        made = org.claim(number)
        org.request()
        self.work()
        assert org.states()[number] == "exported"
        return made

    def delete(self, reference: str) -> None:
        del self.holds[reference]

    def sums(self) -> dict[str, Decimal]:
        total: dict[str, Decimal] = {}
        for voucher in self.holds.values():
            for line in voucher["lines"]:
                total[line["account"]] = total.get(line["account"], Decimal(0)) + Decimal(line["amount"])
        return total


def shown(org: Organisation) -> tuple[Any, ...]:
    ((*row,),) = org.database.sql(
        "select state, reason_code from bilag.claim_exports where integration_type = 'xledger'"
    )
    return tuple(row)


def audited(org: Organisation) -> list[str]:
    rows = org.database.sql("select action from bilag.bufdir_export_audit_log where action like 'claim.%%' order by id")
    return [action for (action,) in rows]


def reference(org: Organisation) -> str:
    return str(org.database.value("select reference from bilag.claim_exports"))


def export(org: Organisation, vendor: Vendor) -> UUID:
    run = org.request()
    vendor.work()
    return run
