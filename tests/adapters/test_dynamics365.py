"""The Business Central adapter keeps the contract of all adapters. What is its own is in ``test_dynamics365_*.py``."""

from __future__ import annotations

import pytest

from dev.fakes.fake import Fake
from tests.adapters.contract_suite import AdapterContract, failed_post, found
from tests.adapters.plays import EXECUTED_UNHEARD, NOT_EXECUTED, NOT_EXECUTED_UNHEARD, Play, plays
from tests.adapters.vendor import QUICK, Vendor
from worker.contract import Presence
from worker.errors import Executed

LINES = "$batch"
SPOILT_WORDS = {"half an answer", "half an answer, then a cut", "ten megabytes", "a slow drip"}
"""Plays that spoil an answer's words. That of posting has none; that of writing lines has."""


def twice_refused(fake: Fake, on: str) -> None:
    """A 401 is answered with a new token, once."""
    fake.fail_next(401, times=2, on=on)


class TestDynamics365(AdapterContract):
    key = "dynamics365"

    @pytest.fixture
    def vendor(self, dynamics365: Vendor) -> Vendor:
        return dynamics365

    @pytest.mark.anyio
    @plays(NOT_EXECUTED | {"401": twice_refused})
    async def test_an_answer_that_says_not_executed_is_told_as_that(self, vendor: Vendor, play: Play) -> None:
        await super().test_an_answer_that_says_not_executed_is_told_as_that(vendor, play)

    @pytest.mark.anyio
    @plays(NOT_EXECUTED | EXECUTED_UNHEARD | NOT_EXECUTED_UNHEARD | {"401": twice_refused})
    async def test_a_look_up_that_fails_proves_nothing_and_may_be_repeated(self, vendor: Vendor, play: Play) -> None:
        await super().test_a_look_up_that_fails_proves_nothing_and_may_be_repeated(vendor, play)

    @pytest.mark.anyio
    @plays({name: play for name, play in EXECUTED_UNHEARD.items() if name not in SPOILT_WORDS})
    async def test_a_write_whose_answer_is_lost_is_in_doubt_and_then_found(self, vendor: Vendor, play: Play) -> None:
        await super().test_a_write_whose_answer_is_lost_is_in_doubt_and_then_found(vendor, play)

    @pytest.mark.anyio
    @plays(EXECUTED_UNHEARD)
    async def test_lines_whose_answer_is_lost_are_in_doubt_and_then_taken_back(
        self, vendor: Vendor, play: Play
    ) -> None:
        vouchers = [vendor.voucher("10.00", "20.00"), vendor.voucher()]
        play(vendor.fake, LINES)
        error = await failed_post(vendor, *vouchers, timeout=QUICK)
        assert (error.executed, error.is_permanent) == (Executed.UNKNOWN, False)
        findings = await found(vendor, *vouchers)
        assert {(finding.presence, finding.revoked) for finding in findings} == {(Presence.ABSENT, True)}
        assert vendor.fake.counts()["journalLines"] == 0

    @pytest.mark.anyio
    @pytest.mark.parametrize("play", ["duplicate_next", "reorder_next"])
    async def test_an_answer_out_of_order_or_twice_loses_no_voucher(self, vendor: Vendor, play: str) -> None:
        vendor.writes = LINES
        await super().test_an_answer_out_of_order_or_twice_loses_no_voucher(vendor, play)
