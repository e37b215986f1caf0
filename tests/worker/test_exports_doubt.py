"""A write whose outcome is not known is found first, and never sent again on a guess."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.virtual_time import VIRTUAL_TIME, clock
from tests.worker.export_desk import Desk, read, write
from tests.worker.stub_adapter import absent, there
from worker.contract import Batch, Call, Finding, Presence
from worker.errors import Refused
from worker.faults import Fault

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return VIRTUAL_TIME


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(
    "answer",
    [write(Fault.TIMEOUT), write(Fault.NETWORK), write(502), write(504), write(408), write(Fault.NOT_JSON)],
    ids=str,
)
async def test_an_unanswered_write_that_is_not_found_stays_in_doubt(desk: Desk, answer: Exception) -> None:
    desk.meets(answer)
    assert await desk.do() == ["unknown", "unknown"]
    assert desk.adapter.asked == ["post", "find"]
    assert desk.failure is not None


async def test_an_unanswered_write_that_is_found_whole_is_booked(desk: Desk) -> None:
    desk.meets(write(Fault.TIMEOUT))
    desk.finds(there)
    assert await desk.do() == ["exported", "exported"]
    assert desk.report["results"][0]["externalId"] == "found"


async def test_an_answered_failure_that_is_proven_absent_goes_again_in_its_slot(desk: Desk) -> None:
    desk.meets(write(500))
    began = clock()
    assert await desk.do() == ["exported", "exported"]
    assert desk.adapter.asked == ["post", "find", "post"]
    assert clock() - began == pytest.approx(1, abs=0.01)


async def test_where_absence_counts_at_once_an_unanswered_write_goes_again_too(desk: Desk) -> None:
    desk.meets(write(Fault.TIMEOUT))
    assert await desk.do(absenceAfterSeconds=0) == ["exported", "exported"]
    assert desk.adapter.asked == ["post", "find", "post"]


@pytest.mark.parametrize("answer", [write(500), write(Fault.TIMEOUT), write(409)], ids=str)
async def test_what_was_revoked_is_absent_at_once_and_goes_again_in_another_delivery(
    desk: Desk, answer: Exception
) -> None:
    """Its vehicle is spent, and the next one is to be written down first."""
    desk.meets(answer)
    desk.finds(lambda batch, _call: [Finding(v.reference, Presence.ABSENT, revoked=True) for v in batch.vouchers])
    refused = isinstance(answer, Refused)
    assert await desk.do() == ["refused" if refused else "absent"] * 2
    assert desk.adapter.asked == ["post", "find"]
    assert refused or all(result["revoked"] and result["seen"] for result in desk.report["results"])


async def test_where_absence_can_never_be_proven_nothing_goes_again(desk: Desk) -> None:
    desk.meets(write(500))
    assert await desk.do(absenceAfterSeconds=None) == ["unknown", "unknown"]
    assert desk.adapter.asked == ["post", "find"]


async def test_a_failure_of_which_half_arrived_settles_that_half(desk: Desk) -> None:
    desk.meets(write(500))
    desk.finds(lambda batch, call: [there(batch, call)[0], absent(batch, call)[1]])
    assert await desk.do() == ["exported", "absent"]
    assert desk.adapter.asked == ["post", "find"]


async def test_a_look_up_that_fails_leaves_all_in_doubt_with_the_writes_own_failure(desk: Desk) -> None:
    desk.meets(write(500))
    desk.finds(*[read(503)] * 8)
    assert await desk.do() == ["unknown", "unknown"]
    assert desk.failure is not None
    assert desk.failure["error"]["httpStatus"] == 500


async def test_a_try_that_hangs_is_cut_after_its_timeout_and_looked_for(desk: Desk) -> None:
    desk.meets(lambda _batch, _call: asyncio.sleep(3600))
    began = clock()
    assert await desk.do() == ["unknown", "unknown"]
    assert clock() - began < 13
    assert desk.failure is not None
    assert desk.failure["error"]["errorClass"] == "timeout"


async def test_a_business_error_of_the_whole_call_is_looked_for_and_fails(desk: Desk) -> None:
    desk.meets(write(Fault.BUSINESS))
    assert await desk.do() == ["absent", "absent"]
    assert desk.adapter.asked == ["post", "find"]
    assert desk.failure is not None
    assert desk.failure["error"]["errorClass"] == "permanent"


async def test_a_refusal_that_names_a_voucher_rejects_that_one_once_absence_is_proven(desk: Desk) -> None:
    culprit = {"BL000000000000000002": ("account_unknown", {"code": "9"})}
    desk.meets(write(422, culprits=culprit))
    assert await desk.do(items=3) == ["unsent", "rejected", "unsent"]
    assert desk.adapter.asked == ["post", "find"]
    assert desk.failure is None


async def test_a_refusal_that_names_none_is_refused_as_a_whole_for_the_database_to_halve(desk: Desk) -> None:
    desk.meets(write(422))
    assert await desk.do(items=3) == ["refused"] * 3
    assert desk.failure is None


async def test_a_refusal_that_says_not_executed_needs_no_look_up(desk: Desk) -> None:
    desk.meets(write(413))
    assert await desk.do() == ["refused", "refused"]
    assert desk.adapter.asked == ["post"]


async def test_a_refusal_that_cannot_be_looked_into_rejects_nothing(desk: Desk) -> None:
    culprit: dict[str, Any] = {"BL000000000000000001": ("account_unknown", {})}
    desk.meets(write(422, culprits=culprit))
    desk.finds(*[read(503)] * 4)
    assert await desk.do() == ["unknown", "unknown"]
    assert desk.failure is not None
    assert desk.failure["error"]["httpStatus"] == 503
    assert desk.failure["error"]["attempt"] == 4, "of the look-up, which failed in the end"


@pytest.mark.parametrize("kind", ["find", "confirm", "reconcile"])
async def test_a_look_up_reports_what_it_found(desk: Desk, kind: str) -> None:
    def found(batch: Batch, _call: Call) -> list[Finding]:
        first, second, third, fourth, fifth = (voucher.reference for voucher in batch.vouchers)
        return [
            Finding(first, Presence.WHOLE, posted=True),
            Finding(second, Presence.WHOLE),
            Finding(third, Presence.ABSENT),
            Finding(fourth, Presence.PARTIAL),
            Finding(fifth, Presence.WHOLE, import_error="account 7140 is closed"),
        ]

    desk.finds(found)
    assert await desk.do(kind, 5) == ["exported", "accepted", "absent", "unknown", "import_error"]


async def test_a_reconciliation_asks_without_writing_and_tells_what_is_there_in_part(desk: Desk) -> None:
    def found(batch: Batch, _call: Call) -> list[Finding]:
        assert batch.only_reads
        return [Finding(batch.vouchers[0].reference, Presence.PARTIAL, message="1 of 2 lines")]

    desk.finds(found)
    assert await desk.do("reconcile", 1) == ["unknown"]
    (result,) = desk.tally.report(release=False)["results"]
    assert (result["reasonCode"], result["message"]) == ("partial", "1 of 2 lines")
    await desk.do("confirm", 1)
    assert not desk.adapter.batches[-1].only_reads


async def test_a_look_up_is_retried_like_any_read_and_then_fails_without_a_guess(desk: Desk) -> None:
    desk.finds(*[read(Fault.TIMEOUT)] * 4)
    assert await desk.do("find") == ["unknown", "unknown"]
    assert desk.adapter.asked == ["find"] * 4
    assert desk.failure is not None
    assert desk.failure["error"]["errorClass"] == "timeout"


async def test_being_cut_during_a_wait_between_two_tries_leaves_nothing_in_doubt(desk: Desk) -> None:
    desk.meets(write(429, retry_after=30))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await desk.do()
    assert desk.outcomes == ["unsent", "unsent"]


async def test_being_cut_during_a_write_leaves_it_in_doubt(desk: Desk) -> None:
    desk.meets(lambda _batch, _call: asyncio.sleep(3600))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await desk.do()
    assert desk.outcomes == ["unknown", "unknown"]
