"""with_retry of a write: it goes again only on an answer, or a proof, that it was not executed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.virtual_time import VIRTUAL_TIME
from tests.worker.scripted_calls import Hang, Proof, Script, options, read, write
from worker import errors
from worker.errors import AdapterError, Executed
from worker.faults import Fault
from worker.retry import with_retry

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return VIRTUAL_TIME


async def test_a_write_that_had_to_be_cut_off_is_in_doubt() -> None:
    call = Hang()
    with pytest.raises(errors.Timeout) as raised:
        await with_retry(call, options(), writes=True)
    assert (raised.value.executed, call.tries) == (Executed.UNKNOWN, 1)


NOT_EXECUTED = [429, Fault.UNAVAILABLE_UNTIL, Fault.DNS, Fault.CONNECT, Fault.CONNECT_TIMEOUT]
IN_DOUBT = [408, 500, 502, 503, 504, Fault.NETWORK, Fault.TIMEOUT, Fault.NOT_JSON, Fault.TOO_LARGE]


@pytest.mark.parametrize("key", NOT_EXECUTED, ids=str)
async def test_a_write_goes_again_on_an_answer_that_says_it_was_not_executed(key: int | Fault) -> None:
    call = Script(write(key), write(key))
    assert await with_retry(call, options(), writes=True) == "done"
    assert call.waits == [1, 2]


@pytest.mark.parametrize("key", IN_DOUBT, ids=str)
async def test_a_write_that_may_have_been_executed_is_not_repeated(key: int | Fault) -> None:
    call = Script(write(key))
    with pytest.raises(AdapterError) as raised:
        await with_retry(call, options(), writes=True)
    assert (raised.value.executed, len(call.tried_at)) == (Executed.UNKNOWN, 1)


@pytest.mark.parametrize("key", IN_DOUBT, ids=str)
async def test_a_write_that_is_proven_absent_goes_again_in_its_slot(key: int | Fault) -> None:
    call, asked = Script(write(key), write(key)), Proof(True)
    assert await with_retry(call, options(), writes=True, prove_absent=asked) == "done"
    assert (call.waits, len(asked.errors)) == ([1, 2], 2)


async def test_the_time_that_a_proof_takes_counts_in_the_budget() -> None:
    call, asked = Script(write(500), write(500)), Proof(True, seconds=28)
    with pytest.raises(errors.Unavailable):
        await with_retry(call, options(), writes=True, prove_absent=asked)
    assert len(call.tried_at) == 2


async def test_an_error_after_the_last_retry_still_says_whether_it_was_proven_absent() -> None:
    call = Script(*(write(500) for _ in range(4)))
    with pytest.raises(errors.Unavailable) as raised:
        await with_retry(call, options(), writes=True, prove_absent=Proof(True))
    assert (raised.value.executed, call.waits) == (Executed.NO, [1, 2, 4])


@pytest.mark.parametrize("answer", [False, read(503), TimeoutError()], ids=["no", "no answer", "timeout"])
async def test_what_cannot_be_proven_absent_is_raised_as_it_is(answer: bool | Exception) -> None:
    call = Script(write(504))
    with pytest.raises(errors.Unavailable) as raised:
        await with_retry(call, options(), writes=True, prove_absent=Proof(answer))
    assert (raised.value.http_status, raised.value.executed) == (504, Executed.UNKNOWN)


async def test_a_proof_that_does_not_come_within_the_budget_is_none() -> None:
    call = Script(write(500))
    with pytest.raises(errors.Unavailable) as raised:
        await with_retry(call, options(), writes=True, prove_absent=Proof(True, seconds=3600))
    assert (raised.value.executed, len(call.tried_at)) == (Executed.UNKNOWN, 1)


async def test_nobody_is_asked_to_prove_what_the_answer_says() -> None:
    call, asked = Script(write(429)), Proof(False)
    assert await with_retry(call, options(), writes=True, prove_absent=asked) == "done"
    assert asked.errors == []
