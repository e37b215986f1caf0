"""What the contract suite asks of an accounting system's stand-in, and vouchers to book in it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from pydantic import SecretStr

from dev.fakes.fake import Fake
from worker import adapters
from worker.contract import Adapter, Batch, Call, Line, Outcome, Sending, Voucher
from worker.http import Client

_serial = count(1)
_vehicles: dict[str, str] = {}
QUICK = 0.5
"""Seconds: the timeout of a client that is to wait in vain."""


@dataclass
class Vendor:
    """One accounting system on the other side.

    ``writes`` and ``reads`` name the operations of a post and of a look-up, for faults and counters. ``finish`` lets
    it do whatever it does by itself before a voucher is in its ledger.
    """

    key: str
    fake: Fake
    writes: str
    reads: str
    settings: dict[str, Any]
    secret: str
    finish: Callable[[], None]
    expense_account: str = "7140"
    settlement_account: str = "2910"
    clients: list[Client] = field(default_factory=list)

    @property
    def adapter(self) -> Adapter:
        return adapters.load(self.key)

    def call(self, *, timeout: float = 10.0, secret: str | None = None, **settings: Any) -> Call:
        """An invocation of its own. ``settings`` replace those of the stand-in."""
        client = Client(timeout=timeout, plain_hosts=frozenset({"127.0.0.1"}))
        self.clients.append(client)
        correlation_id = uuid4()

        async def credential() -> SecretStr:
            return SecretStr(secret or self.secret)

        return Call(
            org_id=uuid4(),
            integration_type=self.key,
            settings=adapters.read_settings(self.key, {**self.settings, **settings}),
            http=client.bind(correlation_id),
            credential=credential,
            correlation_id=correlation_id,
        )

    def voucher(self, *amounts: str, account: str | None = None, **facts: Any) -> Voucher:
        """A balanced voucher of these debit amounts; ``facts`` go on each of its debit lines."""
        debits = [Decimal(amount) for amount in amounts or ("1250.00",)]
        lines = [
            Line(no, account or self.expense_account, debit, "Drosje, møte i Bodø", **facts)
            for no, debit in enumerate(debits, start=1)
        ]
        settlement = Line(len(lines) + 1, self.settlement_account, -sum(debits, Decimal(0)), "Oppgjør")
        return voucher_of(*lines, settlement)

    async def post(self, *vouchers: Voucher) -> Sequence[Outcome]:
        """Send them in one batch."""
        return await self.adapter.post(batch(*vouchers), self.call())

    async def close(self) -> None:
        for client in self.clients:
            await client.aclose()


def voucher_of(*lines: Line, **facts: Any) -> Voucher:
    serial = next(_serial)
    return Voucher(
        **{
            "reference": f"BL{UUID(int=serial).hex[-18:].upper()}",
            "voucher_number": 41_000_000 + serial,
            "revision": 0,
            "claim_id": uuid4(),
            "claim_number": f"C-{serial}",
            "posting_date": date(2026, 3, 1),
            "document_date": date(2026, 2, 26),
            "currency": "NOK",
            "description": f"Utlegg C-{serial}",
            "lines": lines,
            **facts,
        }
    )


def batch(*vouchers: Voucher, sent_at: datetime | None = None) -> Batch:
    """An attempt to send these vouchers, or a look-up of them: each keeps the vehicle that it was first batched in."""
    moment, vehicle = sent_at or datetime.now(UTC), new_vehicle()
    return Batch(
        uuid4(),
        tuple(
            Sending(voucher, attempt=1, sent_at=moment, vehicle=_vehicles.setdefault(voucher.reference, vehicle))
            for voucher in vouchers
        ),
    )


def new_vehicle() -> str:
    """Ten letters, as the database makes them."""
    return "".join(secrets.choice("GHJKLMNPQRSTVWXZ") for _ in range(10))


def references(vouchers: Sequence[Voucher]) -> list[str]:
    return [voucher.reference for voucher in vouchers]
