"""The truth that the state machine is measured against, and the workers that are played in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker, Item, Job, failed, report

LEASE = timedelta(seconds=60)
LONGEST_WRITE = timedelta(seconds=12)
ABSENCE_AFTER = timedelta(seconds=60)
FATES = ("booked", "silent", "late", "lost", "refused", "failed")
"""What becomes of a write: booked and said so, booked silently, booked late, never arrived, refused, not begun."""


@dataclass
class Held:
    """A job in a worker's hands. ``said`` is what it will report, once it has done it."""

    job: Job
    since: datetime
    said: dict[int, str] | None = None
    failed: bool = False


@dataclass
class Coming:
    """A batch inside the vendor, executed at the latest then, by the vendor's own promise."""

    references: list[str]
    until: datetime


@dataclass
class Vendor:
    booked: Counter[str] = field(default_factory=Counter)
    coming: list[Coming] = field(default_factory=list)

    def arrive(self, batch: Coming) -> None:
        self.coming.remove(batch)
        self.booked.update(batch.references)


class Played:
    """A vendor, and the jobs that are in somebody's hands."""

    database: ClassVar[Database]
    worker: ClassVar[FakeWorker]

    def __init__(self) -> None:
        self.vendor = Vendor()
        self.held: list[Held] = []

    @property
    def now(self) -> datetime:
        found = self.database.value("select bilag_internal.now()")
        assert isinstance(found, datetime)
        return found

    def do(self, held: Held, fate: str) -> None:
        now, items = self.now, held.job["items"]
        references = [item["voucher"]["reference"] for item in items]
        held.failed = fate == "failed"
        if held.job["kind"] != "post":
            held.said = {item["id"]: "unknown" if held.failed else self.truth(item) for item in items}
            return
        if fate == "failed" or now + LONGEST_WRITE > held.since + LEASE:
            held.said = {item["id"]: "unsent" for item in items}
            return
        if fate in ("booked", "silent"):
            self.vendor.booked.update(references)
        elif fate == "late":
            self.vendor.coming.append(Coming(references, now + ABSENCE_AFTER))
        word = {"booked": "exported", "refused": "unsent"}.get(fate, "unknown")
        held.said = {item["id"]: word for item in items}

    def truth(self, item: Item) -> str:
        return "exported" if self.vendor.booked[item["voucher"]["reference"]] else "absent"

    def settle(self, held: Held) -> None:
        said = held.said or {}
        why = failed() if held.failed else None
        told = report(held.job, lambda item: said[item["id"]], failure=why)
        self.held += [Held(job, self.now) for job in self.worker.tell(told)]
