"""with_retry: what goes again, when, and what the caller gets to know."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.virtual_time import VIRTUAL_TIME
from tests.worker.scripted_calls import Hang, Script, options, read, write
from worker import errors
from worker.errors import AdapterError, ErrorClass, Executed
from worker.failure import FailurePayload
from worker.faults import Fault
from worker.retry import Attempt, RetryOptions, with_retry

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return VIRTUAL_TIME


TRANSIENT = [429, 500, 502, 503, 504, 408, Fault.NETWORK, Fault.DNS, Fault.CONNECT, Fault.TIMEOUT, Fault.NOT_JSON]
PERMANENT = [400, 401, 403, 404, 422, Fault.BUSINESS]


async def test_a_503_is_retried_three_times_after_1_2_and_4_seconds() -> None:
    call = Script(*(read(503) for _ in range(4)))
    with pytest.raises(errors.Unavailable):
        await with_retry(call, options())
    assert call.waits == [1, 2, 4]


@pytest.mark.parametrize("key", TRANSIENT, ids=str)
async def test_a_read_that_failed_transiently_goes_again(key: int | Fault) -> None:
    assert await with_retry(Script(read(key)), options()) == "done"


@pytest.mark.parametrize("key", PERMANENT, ids=str)
@pytest.mark.parametrize("make", [read, write])
async def test_a_permanent_error_is_raised_at_once(make: Callable[..., AdapterError], key: int | Fault) -> None:
    call = Script(make(key))
    with pytest.raises(AdapterError):
        await with_retry(call, options())
    assert len(call.tried_at) == 1


async def test_a_transformation_error_is_raised_at_once() -> None:
    call = Script(errors.TransformationError("the voucher has no lines"))
    with pytest.raises(errors.TransformationError):
        await with_retry(call, options())
    assert len(call.tried_at) == 1


async def test_the_jitter_is_drawn_once_for_each_slot_and_stays_within_a_fifth() -> None:
    draws = iter([0.0, 0.5, 1.0])
    call = Script(*(read(503) for _ in range(4)))
    with pytest.raises(errors.Unavailable):
        await with_retry(call, options(jitter=0.2, random=lambda: next(draws)))
    assert call.waits == [0.8, 2.0, 4.8]
    assert next(draws, None) is None


async def test_a_try_that_does_not_end_is_cut_after_ten_seconds_and_takes_a_slot() -> None:
    attempts: list[Attempt] = []

    async def hang() -> None:
        await asyncio.sleep(3600)

    with pytest.raises(errors.Timeout) as raised:
        await with_retry(hang, options(), on_attempt=attempts.append)
    assert [attempt.duration for attempt in attempts] == [10, 10, 10, 10]
    assert raised.value.error_class is ErrorClass.TIMEOUT
    assert asyncio.get_running_loop().time() == 1000 + 40 + 7


async def test_a_wait_that_was_asked_for_replaces_a_shorter_slot() -> None:
    call = Script(read(429, retry_after=9.0), read(429, retry_after=0.5))
    await with_retry(call, options())
    assert call.waits == [9, 2]


async def test_a_wait_beyond_the_budget_ends_the_invocation_at_once_and_is_told_to_the_caller() -> None:
    call = Script(read(429, retry_after=1200.0))
    with pytest.raises(errors.RateLimited) as raised:
        await with_retry(call, options())
    assert (raised.value.retry_after, len(call.tried_at)) == (1200, 1)
    assert asyncio.get_running_loop().time() == 1000


async def test_no_try_begins_that_could_not_have_its_whole_timeout_within_the_budget() -> None:
    call = Script(*(read(429, retry_after=18.0) for _ in range(4)))
    with pytest.raises(errors.RateLimited):
        await with_retry(call, options())
    assert call.tried_at == [1000, 1018, 1036]


async def test_without_a_timeout_of_its_own_a_try_ends_with_the_budget() -> None:
    call = Hang()
    with pytest.raises(errors.Timeout):
        await with_retry(call, options(timeout=None))
    assert asyncio.get_running_loop().time() == 1060


async def test_every_try_is_told_with_its_number_and_its_error() -> None:
    told: list[Attempt] = []
    await with_retry(Script(read(503), read(Fault.TIMEOUT)), options(), on_attempt=told.append)
    assert [(attempt.number, attempt.error and attempt.error.error_class) for attempt in told] == [
        (1, "transient"),
        (2, "timeout"),
        (3, None),
    ]


async def test_a_hook_that_fails_hides_neither_the_error_nor_the_result() -> None:
    def broken(_attempt: Attempt) -> None:
        raise RuntimeError("the log is full")

    with pytest.raises(errors.Refused):
        await with_retry(Script(read(400)), options(), on_attempt=broken)
    assert await with_retry(Script(read(503)), options(), on_attempt=broken) == "done"


async def test_a_defect_of_ours_is_told_and_raised_as_it_is() -> None:
    told: list[Attempt] = []
    with pytest.raises(ZeroDivisionError):
        await with_retry(Script(ZeroDivisionError("oops")), options(), writes=True, on_attempt=told.append)
    assert [(type(attempt.error), attempt.error and attempt.error.executed) for attempt in told] == [
        (errors.UnexpectedError, Executed.UNKNOWN)
    ]


@pytest.mark.parametrize(("writes", "executed"), [(True, Executed.UNKNOWN), (False, Executed.NO)])
async def test_a_cancelled_invocation_ends_at_once_and_its_try_is_told(writes: bool, executed: Executed) -> None:
    call, told = Hang(), list[Attempt]()
    task = asyncio.create_task(with_retry(call, options(), writes=writes, on_attempt=told.append))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert call.tries == 1
    assert [(attempt.number, type(attempt.error), attempt.duration) for attempt in told] == [(1, errors.Timeout, 1)]
    assert told[0].error is not None
    assert told[0].error.executed is executed


async def test_what_is_cancelled_in_a_wait_between_two_tries_is_no_try() -> None:
    told = list[Attempt]()
    task = asyncio.create_task(with_retry(Script(read(503)), options(), on_attempt=told.append))
    await asyncio.sleep(0.5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [attempt.number for attempt in told] == [1]


async def test_an_unreadable_credential_is_fetched_again_and_a_missing_one_is_not() -> None:
    unreadable, missing = Script(errors.CredentialAccessError("no")), Script(errors.CredentialNotFoundError(uuid4()))
    assert await with_retry(unreadable, options(), writes=True) == "done"
    with pytest.raises(errors.CredentialNotFoundError):
        await with_retry(missing, options(), writes=True)
    assert len(missing.tried_at) == 1


async def test_when_the_retries_are_used_up_the_failure_is_not_retryable_and_has_one_correlation_id() -> None:
    correlation_id, rows = uuid4(), list[dict[str, Any]]()

    def log(attempt: Attempt) -> None:
        if attempt.error:
            payload = FailurePayload.of(
                attempt.error,
                correlation_id=correlation_id,
                adapter_name="xledger",
                attempt=attempt.number,
                is_retryable=attempt.number < 4,
            )
            rows.append(payload.as_json())

    with pytest.raises(errors.Unavailable):
        await with_retry(Script(*(read(503) for _ in range(4))), options(), on_attempt=log)
    assert [row["isRetryable"] for row in rows] == [True, True, True, False]
    assert {row["correlationId"] for row in rows} == {str(correlation_id)}


def test_the_slots_are_drawn_anew_for_every_invocation() -> None:
    assert RetryOptions().slots() != RetryOptions().slots()
    assert all(0.8 * 2**n <= slot <= 1.2 * 2**n for n, slot in enumerate(RetryOptions().slots()))
