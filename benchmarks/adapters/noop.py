"""An accounting system that books at once and calls nobody, so that what is left to measure is our own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import ClassVar, Literal

from worker.contract import (
    Adapter,
    Batch,
    Call,
    Capabilities,
    Finding,
    Health,
    HealthResult,
    Outcome,
    Presence,
    Verdict,
)
from worker.settings_schema import AdapterSettings


class NoopSettings(AdapterSettings):
    integration_type: Literal["noop"] = "noop"


class NoopAdapter(Adapter):
    """``called`` is told of each post, before it is answered."""

    key = "noop"
    display_name = "Nothing at all"
    settings_model = NoopSettings
    capabilities = Capabilities(vouchers_per_batch=500, lines_per_batch=5000, needs_credential=False)
    called: ClassVar[Callable[[], None]] = staticmethod(lambda: None)

    async def post(self, batch: Batch, call: Call) -> Sequence[Outcome]:
        type(self).called()
        return [Outcome(voucher.reference, Verdict.EXPORTED, voucher.reference) for voucher in batch.vouchers]

    async def find(self, batch: Batch, call: Call) -> Sequence[Finding]:
        return [Finding(voucher.reference, Presence.WHOLE, posted=True) for voucher in batch.vouchers]

    async def check(self, call: Call) -> HealthResult:
        return HealthResult(Health.HEALTHY, 0, datetime.now(UTC))
