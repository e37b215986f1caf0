"""The database of the poller's tests: it hands out what it is told to, and remembers what was reported."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from worker.database import Job, Outage

Report = Mapping[str, Any]


def a_job(kind: str = "post", items: int = 1, **facts: Any) -> Job:
    """A job of one lane, with vouchers of two lines."""
    return {
        "lane": str(uuid4()),
        "token": str(uuid4()),
        "leaseSeconds": 60,
        "deliverySeconds": 150,
        "runId": str(uuid4()),
        "orgId": str(uuid4()),
        "integrationType": "stub",
        "settings": {"settlement_account": "2910"},
        "allowedHosts": [],
        "credentialVersion": 1,
        "kind": kind,
        "correlationId": str(uuid4()),
        "absenceAfterSeconds": 60,
        "items": [an_item(number) for number in range(1, items + 1)],
        **facts,
    }


def an_item(number: int, **facts: Any) -> dict[str, Any]:
    return {
        "id": number,
        "attempt": 1,
        "sentAt": "2026-03-02T11:00:00+00:00",
        "answered": False,
        "externalId": None,
        "vehicle": "GHJKLMNPQR",
        "revocable": True,
        "voucher": a_voucher(number),
        **facts,
    }


def a_voucher(number: int) -> dict[str, Any]:
    def line(line_no: int, account: str, amount: str) -> dict[str, Any]:
        return {
            "lineNo": line_no,
            "account": account,
            "amount": amount,
            "vatCode": None,
            "description": "Taxi",
            "dimensions": {"DEPARTMENT": "SALES"},
            "subledger": None,
        }

    return {
        "reference": f"BL{number:018d}",
        "voucherNumber": 41000000 + number,
        "revision": 1,
        "claimId": str(uuid4()),
        "claimNumber": f"C-{number:04d}",
        "claimantReference": None,
        "postingDate": "2026-03-02",
        "documentDate": "2026-02-26",
        "currency": "NOK",
        "description": f"Expense claim C-{number:04d}",
        "documentationUrl": None,
        "lines": [line(1, "7140", "100.50"), line(2, "2910", "-100.50")],
    }


class StubDatabase:
    """Stands for worker.database.Database. ``down`` makes every call an outage."""

    def __init__(self, *jobs: Job) -> None:
        self.due = list(jobs)
        self.next: Callable[[Report], Job | None] = lambda _report: None
        self.settled: list[list[Report]] = []
        self.beats: list[list[UUID]] = []
        self.ticks = 0
        self.claims: list[int] = []
        self.down = False
        self.settle_gate: asyncio.Event | None = None
        self.refusals: dict[str, Exception] = {}
        self.lost: set[str] = set()
        self.left: Callable[[], Mapping[str, Any]] = lambda: {"due": len(self.due), "inFlight": 0}

    @property
    def reports(self) -> list[Report]:
        return [report for bundle in self.settled for report in bundle]

    async def claim(self, slots: int, _lease_seconds: int, _delivery_seconds: int) -> list[Job]:
        await self._answer("claim")
        self.claims.append(slots)
        taken, self.due = self.due[:slots], self.due[slots:]
        return taken

    async def settle(self, reports: Sequence[Report]) -> list[Job]:
        if self.settle_gate:
            await self.settle_gate.wait()
        await self._answer("settle")
        self.settled.append(list(reports))
        return [job for job in map(self.next, reports) if job]

    async def beat(self, tokens: Sequence[UUID], _lease_seconds: int, _running: int, within: float) -> set[UUID]:
        await self._answer("beat")
        self.beats.append(list(tokens))
        return {token for token in tokens if str(token) not in self.lost}

    async def work_left(self, _queues: Sequence[str]) -> Mapping[str, Any]:
        await self._answer("work_left")
        return self.left()

    async def tick(self) -> None:
        await self._answer("tick")
        self.ticks += 1

    async def _answer(self, call: str) -> None:
        await asyncio.sleep(0.001)
        if self.down:
            raise Outage("connection refused")
        if error := self.refusals.pop(call, None):
            raise error
