"""An accounting system of the exports' tests: it answers what it is told to, and notes what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

from worker.contract import (
    Adapter,
    Batch,
    Call,
    Capabilities,
    Finding,
    HealthResult,
    Outcome,
    Presence,
    Verdict,
)
from worker.settings_schema import AdapterSettings


class StubSettings(AdapterSettings):
    """Nothing of its own."""

    integration_type: Literal["stub"]


Answer = Exception | Callable[[Batch, Call], Any]


class StubAdapter(Adapter):
    """``posts`` and ``finds`` are what the next calls meet; then every post books, every look-up finds nothing."""

    key: ClassVar[str] = "stub"
    display_name: ClassVar[str] = "Stub"
    settings_model: ClassVar[type[AdapterSettings]] = StubSettings
    capabilities: ClassVar[Capabilities] = Capabilities(vouchers_per_batch=100, lines_per_batch=500)

    def __init__(self) -> None:
        self.posts: list[Answer] = []
        self.finds: list[Answer] = []
        self.asked: list[str] = []
        self.asked_at: list[float] = []
        self.calls: list[Call] = []
        self.batches: list[Batch] = []

    async def post(self, batch: Batch, call: Call) -> Sequence[Outcome]:
        answered: Sequence[Outcome] = await self._answer("post", self.posts, batch, call) or booked(batch, call)
        return answered

    async def find(self, batch: Batch, call: Call) -> Sequence[Finding]:
        found: Sequence[Finding] = await self._answer("find", self.finds, batch, call) or absent(batch, call)
        return found

    async def check(self, call: Call) -> HealthResult:
        raise NotImplementedError

    async def _answer(self, name: str, script: list[Answer], batch: Batch, call: Call) -> Any:
        self.asked.append(name)
        self.asked_at.append(asyncio.get_running_loop().time())
        self.calls.append(call)
        self.batches.append(batch)
        answer = script.pop(0) if script else None
        if isinstance(answer, Exception):
            raise answer
        result = answer(batch, call) if answer else None
        return await result if asyncio.iscoroutine(result) else result


def booked(batch: Batch, _call: Call) -> list[Outcome]:
    return [Outcome(v.reference, Verdict.EXPORTED, f"x{v.voucher_number}") for v in batch.vouchers]


def absent(batch: Batch, _call: Call) -> list[Finding]:
    return [Finding(v.reference, Presence.ABSENT) for v in batch.vouchers]


def there(batch: Batch, _call: Call) -> list[Finding]:
    return [Finding(v.reference, Presence.WHOLE, posted=True, external_id="found") for v in batch.vouchers]
