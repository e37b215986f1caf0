"""What every adapter promises, whatever system is behind it.

An adapter's test inherits :class:`AdapterContract` and gives it a fixture ``vendor``; one that makes files, which
nobody can call, inherits :class:`BookingContract`. What an adapter announces that it can prove is tested as announced.
"""

from __future__ import annotations

import traceback
from typing import ClassVar

import pytest

from tests.adapters.announced import Announced
from tests.adapters.plays import EXECUTED_UNHEARD, NOT_EXECUTED, NOT_EXECUTED_UNHEARD, Play, plays
from tests.adapters.vendor import QUICK, Vendor, batch, references
from worker import adapters
from worker.contract import Finding, Health, Presence, Verdict, Voucher
from worker.errors import AdapterError, Executed


async def found(vendor: Vendor, *vouchers: Voucher) -> list[Finding]:
    findings = list(await vendor.adapter.find(batch(*vouchers), vendor.call()))
    assert sorted(finding.reference for finding in findings) == sorted(references(vouchers))
    return findings


async def failed_post(vendor: Vendor, *vouchers: Voucher, timeout: float = 10.0) -> AdapterError:  # noqa: ASYNC109
    with pytest.raises(AdapterError) as raised:
        await vendor.adapter.post(batch(*vouchers), vendor.call(timeout=timeout))
    return raised.value


class BookingContract:
    """What holds also for a system that nobody can call, such as a file."""

    key: ClassVar[str]

    def test_it_announces_itself_in_words_that_the_database_can_check(self) -> None:
        announced = next(one for one in adapters.announcements() if one["integrationType"] == self.key)
        schema = announced["settingsSchema"]
        assert schema["type"] == "object"
        assert schema["additionalProperties"] is False
        assert {"currency", "settlement_account", "voucher_number_from"} <= schema["properties"].keys()
        words = {"type", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "default", "description"}
        assert all(words >= field.keys() for field in schema["properties"].values())
        assert set(announced["identitySettings"]) <= schema["properties"].keys()
        assert announced["linesPerBatch"] >= 2 * announced["vouchersPerBatch"]

    @pytest.mark.anyio
    async def test_vouchers_are_booked_to_the_cent_with_our_reference_and_number(self, vendor: Vendor) -> None:
        vouchers = [vendor.voucher("1250.00"), vendor.voucher("0.01", "99.99"), vendor.voucher("9999999.95", "-0.05")]
        outcomes = await vendor.post(*vouchers)
        assert sorted(outcome.reference for outcome in outcomes) == sorted(references(vouchers))
        assert {outcome.verdict for outcome in outcomes} <= {Verdict.ACCEPTED, Verdict.EXPORTED}
        vendor.finish()
        for voucher in vouchers:
            booked = vendor.fake.ledger.one(voucher.reference)
            assert booked.voucher_number == voucher.voucher_number
            assert booked.posted_date == voucher.posting_date
            assert [(entry.account, entry.amount) for entry in booked.entries] == [
                (line.account, line.amount) for line in voucher.lines
            ]

    @pytest.mark.anyio
    async def test_a_check_says_healthy_and_how_long_it_took(self, vendor: Vendor) -> None:
        result = await vendor.adapter.check(vendor.call())
        assert (result.status, result.error) == (Health.HEALTHY, None)
        assert result.latency_ms is not None
        assert result.latency_ms >= 0
        assert result.checked_at.tzinfo is not None


class AdapterContract(Announced, BookingContract):
    """What holds for every system at the other end of a line."""

    # -- booking -------------------------------------------------------------------------------------------------------

    @pytest.mark.anyio
    async def test_every_request_carries_the_correlation_id_and_the_adapter_calls_once(self, vendor: Vendor) -> None:
        call = vendor.call()
        await vendor.adapter.post(batch(*(vendor.voucher() for _ in range(20))), call)
        assert vendor.fake.calls[vendor.writes] == 1
        assert {one.headers["x-correlation-id"] for one in vendor.fake.requests} == {str(call.correlation_id)}

    @pytest.mark.anyio
    @pytest.mark.parametrize("play", ["duplicate_next", "reorder_next"])
    async def test_an_answer_out_of_order_or_twice_loses_no_voucher(self, vendor: Vendor, play: str) -> None:
        vouchers = [vendor.voucher("10.00", "20.00"), vendor.voucher()]
        getattr(vendor.fake, play)(on=vendor.writes)
        outcomes = await vendor.adapter.post(batch(*vouchers), vendor.call())
        assert {outcome.verdict for outcome in outcomes} <= {Verdict.ACCEPTED, Verdict.EXPORTED, Verdict.UNKNOWN}
        vendor.finish()
        assert vendor.fake.ledger.doubled() == {}
        assert vendor.fake.ledger.missing(references(vouchers)) == []

    # -- looking -------------------------------------------------------------------------------------------------------

    @pytest.mark.anyio
    async def test_it_finds_what_it_posted_and_only_that(self, vendor: Vendor) -> None:
        posted, never = vendor.voucher("10.00", "20.00"), vendor.voucher()
        await vendor.adapter.post(batch(posted), vendor.call())
        there, absent = await found(vendor, posted, never)
        assert (there.presence, absent.presence) == (Presence.WHOLE, self._nothing(vendor))
        vendor.finish()
        (booked,) = await found(vendor, posted)
        assert (booked.presence, booked.posted) == (Presence.WHOLE, True)
        assert booked.external_id

    @pytest.mark.anyio
    @plays(NOT_EXECUTED | EXECUTED_UNHEARD | NOT_EXECUTED_UNHEARD)
    async def test_a_look_up_that_fails_proves_nothing_and_may_be_repeated(self, vendor: Vendor, play: Play) -> None:
        play(vendor.fake, vendor.reads)
        with pytest.raises(AdapterError) as raised:
            await vendor.adapter.find(batch(vendor.voucher()), vendor.call(timeout=QUICK))
        assert raised.value.executed is Executed.NO

    @staticmethod
    def _nothing(vendor: Vendor) -> Presence:
        """What a look-up that finds nothing may say."""
        return Presence.UNKNOWN if vendor.adapter.capabilities.absence_after is None else Presence.ABSENT

    # -- when a write fails --------------------------------------------------------------------------------------------

    @pytest.mark.anyio
    @plays(NOT_EXECUTED)
    async def test_an_answer_that_says_not_executed_is_told_as_that(self, vendor: Vendor, play: Play) -> None:
        play(vendor.fake, vendor.writes)
        error = await failed_post(vendor, vendor.voucher())
        assert error.executed is Executed.NO
        vendor.finish()
        assert vendor.fake.ledger.vouchers() == []

    @pytest.mark.anyio
    async def test_a_refused_connection_has_executed_nothing(self, vendor: Vendor) -> None:
        vendor.fake.down(refuse=True)
        error = await failed_post(vendor, vendor.voucher())
        vendor.fake.up()
        assert (error.executed, error.is_permanent) == (Executed.NO, False)

    @pytest.mark.anyio
    @plays(EXECUTED_UNHEARD)
    async def test_a_write_whose_answer_is_lost_is_in_doubt_and_then_found(self, vendor: Vendor, play: Play) -> None:
        vouchers = [vendor.voucher("10.00", "20.00"), vendor.voucher()]
        play(vendor.fake, vendor.writes)
        error = await failed_post(vendor, *vouchers, timeout=QUICK)
        assert (error.executed, error.is_permanent) == (Executed.UNKNOWN, False)
        assert {finding.presence for finding in await found(vendor, *vouchers)} == {Presence.WHOLE}
        vendor.finish()
        assert (vendor.fake.ledger.doubled(), vendor.fake.calls[vendor.writes]) == ({}, 1)

    @pytest.mark.anyio
    @plays(NOT_EXECUTED_UNHEARD)
    async def test_a_write_that_never_got_there_is_in_doubt_and_then_not_found(
        self, vendor: Vendor, play: Play
    ) -> None:
        voucher = vendor.voucher()
        play(vendor.fake, vendor.writes)
        error = await failed_post(vendor, voucher, timeout=QUICK)
        assert error.executed is Executed.UNKNOWN
        (finding,) = await found(vendor, voucher)
        assert finding.presence is self._nothing(vendor)

    @pytest.mark.anyio
    async def test_what_is_still_inside_the_system_is_why_absence_must_wait(self, vendor: Vendor) -> None:
        """A request held inside and executed later: a look-up in between that finds nothing must not be believed.

        Unless it has seen to it that such a request does nothing any more.
        """
        voucher, held = vendor.voucher(), vendor.fake.hold_next(on=vendor.writes)
        await failed_post(vendor, voucher, timeout=QUICK)
        (before,) = await found(vendor, voucher)
        held.release()
        await held.until_committed()
        (after,) = await found(vendor, voucher)
        if before.revoked:
            assert (before.presence, after.presence) == (Presence.ABSENT, Presence.ABSENT)
            assert vendor.fake.ledger.vouchers() == []
            return
        assert after.presence is Presence.WHOLE
        waits = vendor.adapter.capabilities.absence_after
        assert before.presence is not Presence.ABSENT or (waits is not None and waits.total_seconds() > 0)

    # -- secrets, and health -------------------------------------------------------------------------------------------

    @pytest.mark.anyio
    @pytest.mark.parametrize("status", [200, 400, 500])
    async def test_a_system_that_repeats_the_credential_does_not_make_us_repeat_it(
        self, vendor: Vendor, status: int
    ) -> None:
        vendor.fake.echo_authorization(status=status, on=vendor.writes)
        error = await failed_post(vendor, vendor.voucher())
        told = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
        assert vendor.secret not in told

    @pytest.mark.anyio
    async def test_a_check_of_a_system_that_is_down_fails(self, vendor: Vendor) -> None:
        vendor.fake.maintenance(503)
        with pytest.raises(AdapterError):
            await vendor.adapter.check(vendor.call())
