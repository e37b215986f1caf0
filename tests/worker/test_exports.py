"""The job of an export: what each answer of an accounting system makes of a batch."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.virtual_time import VIRTUAL_TIME, clock
from tests.worker.export_desk import Desk, write
from tests.worker.stub_adapter import booked
from worker.contract import Batch, Call, Outcome, Verdict
from worker.faults import Fault

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return VIRTUAL_TIME


@pytest.fixture
def desk() -> Desk:
    return Desk()


UNTIL = write(Fault.UNAVAILABLE_UNTIL, http_status=503, retry_after=1)


async def test_a_batch_that_goes_well_is_exported(desk: Desk) -> None:
    assert await desk.do() == ["exported", "exported"]
    assert desk.failure is None
    assert desk.report["results"][0]["externalId"] == "x41000001"


async def test_the_adapter_gets_whole_typed_vouchers_and_the_correlation_id(desk: Desk) -> None:
    await desk.do(items=1)
    (batch,), (call,) = desk.adapter.batches, desk.adapter.calls
    (voucher,) = batch.vouchers
    assert [line.amount for line in voucher.lines] == [Decimal("100.50"), Decimal("-100.50")]
    assert (voucher.reference, voucher.voucher_number) == ("BL000000000000000001", 41000001)
    assert voucher.posting_date.isoformat() == "2026-03-02"
    assert voucher.lines[0].dimensions == {"DEPARTMENT": "SALES"}
    assert batch.vehicle == "GHJKLMNPQR"
    assert str(batch.correlation_id) == str(call.correlation_id) == desk.tally.job["correlationId"]
    assert call.settings.settlement_account == "2910"


async def test_the_verdicts_of_the_adapter_are_reported_as_they_are(desk: Desk) -> None:
    def mixed(batch: Batch, _call: Call) -> list[Outcome]:
        first, second, third = (voucher.reference for voucher in batch.vouchers)
        return [
            Outcome(first, Verdict.ACCEPTED, "q1"),
            Outcome(second, Verdict.REJECTED, None, "account_unknown", {"code": "9"}, "unknown account 9"),
            Outcome(third, Verdict.EXPORTED),
        ]

    desk.meets(mixed)
    assert await desk.do(items=3) == ["accepted", "rejected", "exported"]
    rejected = desk.report["results"][1]
    assert (rejected["reasonCode"], rejected["reasonParams"]) == ("account_unknown", {"code": "9"})


async def test_a_voucher_that_the_adapter_forgot_is_in_doubt_and_a_stranger_is_ignored(desk: Desk) -> None:
    desk.meets(lambda batch, call: [*booked(batch, call)[:1], Outcome("BLSTRANGER", Verdict.EXPORTED)])
    assert await desk.do() == ["exported", "unknown"]


@pytest.mark.parametrize(
    "answer",
    [write(429), UNTIL, write(Fault.CONNECT), write(Fault.DNS), write(Fault.CONNECT_TIMEOUT)],
    ids=["429", "503 with Retry-After", "refused", "dns", "connect timeout"],
)
async def test_an_answer_that_says_not_executed_is_retried_in_the_call(desk: Desk, answer: Exception) -> None:
    desk.meets(answer, answer)
    assert await desk.do() == ["exported", "exported"]
    assert desk.adapter.asked == ["post", "post", "post"]


async def test_not_executed_to_the_last_retry_is_unsent_with_a_failure(desk: Desk) -> None:
    desk.meets(*[write(429)] * 4)
    assert await desk.do() == ["unsent", "unsent"]
    assert desk.adapter.asked == ["post"] * 4
    assert desk.failure is not None
    assert desk.failure["reasonCode"] == "rate_limited"
    assert (desk.failure["error"]["errorClass"], desk.failure["error"]["httpStatus"]) == ("transient", 429)
    assert (desk.failure["error"]["attempt"], desk.failure["error"]["isRetryable"]) == (4, False)


async def test_a_long_wait_that_is_asked_for_goes_to_the_database_and_not_to_sleep(desk: Desk) -> None:
    desk.meets(write(429, retry_after=3600))
    began = clock()
    assert await desk.do() == ["unsent", "unsent"]
    assert clock() - began < 1
    assert desk.failure is not None
    assert desk.failure["retryAfterSeconds"] == 3600


@pytest.mark.parametrize(("status", "reason"), [(401, "credential_refused"), (403, "credential_refused"), (404, None)])
async def test_a_permanent_answer_is_one_try_and_unsent(desk: Desk, status: int, reason: str | None) -> None:
    desk.meets(write(status))
    assert await desk.do() == ["unsent", "unsent"]
    assert desk.adapter.asked == ["post"]
    assert desk.failure is not None
    assert desk.failure["reasonCode"] == reason
    assert desk.failure["error"]["errorClass"] == "permanent"
