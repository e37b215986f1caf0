"""What an adapter announces about proofs, held against what it does. Part of the contract of every system on a line."""

from __future__ import annotations

import pytest

from tests.adapters.vendor import Vendor, batch
from worker.contract import Outcome, Presence, Verdict
from worker.errors import RateLimited


class Announced:
    """``finds``, ``confirms_later`` and the waits it was asked for; ``absence_after`` is with the failing writes."""

    @pytest.mark.anyio
    async def test_what_announces_that_it_finds_finds_and_what_does_not_says_that_it_does_not_know(
        self, vendor: Vendor
    ) -> None:
        voucher = vendor.voucher("10.00", "20.00")
        await vendor.post(voucher)
        vendor.finish()
        (finding,) = await vendor.adapter.find(batch(voucher), vendor.call())
        assert finding.presence is (Presence.WHOLE if vendor.adapter.capabilities.finds else Presence.UNKNOWN)

    @pytest.mark.anyio
    async def test_a_success_is_final_unless_it_announces_that_it_confirms_later(self, vendor: Vendor) -> None:
        vouchers = [vendor.voucher(), vendor.voucher("1.00", "2.00")]
        outcomes = await vendor.post(*vouchers)
        later = {Verdict.ACCEPTED} if vendor.adapter.capabilities.confirms_later else set[Verdict]()
        assert {outcome.verdict for outcome in outcomes} <= {Verdict.EXPORTED} | later
        for outcome in outcomes:
            assert self._is_booked(vendor, outcome) or outcome.verdict is Verdict.ACCEPTED
        vendor.finish()
        confirmed = await vendor.adapter.confirm(batch(*vouchers), vendor.call())
        assert {(finding.presence, finding.posted) for finding in confirmed} == {(Presence.WHOLE, True)}

    @staticmethod
    def _is_booked(vendor: Vendor, outcome: Outcome) -> bool:
        return outcome.reference in {voucher.reference for voucher in vendor.fake.ledger.vouchers()}

    @pytest.mark.anyio
    @pytest.mark.parametrize("of", ["writes", "reads"])
    async def test_a_wait_that_the_system_asks_for_is_handed_on(self, vendor: Vendor, of: str) -> None:
        vendor.fake.fail_next(429, after=7, on=getattr(vendor, of))
        ask = vendor.adapter.post if of == "writes" else vendor.adapter.find
        with pytest.raises(RateLimited) as raised:
            await ask(batch(vendor.voucher()), vendor.call())
        assert (raised.value.retry_after, raised.value.reason_code) == (7, "rate_limited")
        assert not raised.value.is_permanent
