"""Side jobs: taken as there are hands, ended within their time, reported together, whatever became of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.virtual_time import VIRTUAL_TIME, clock
from tests.worker.counter import Counter, at_work
from tests.worker.poller_story import until

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return VIRTUAL_TIME


async def test_errands_are_done_side_by_side_and_no_more_than_there_are_hands() -> None:
    counter = Counter(*"abcdefg")
    async with at_work(counter.loop(hands=3)):
        await until(lambda: len(counter.reports) == 7)
    begun = sorted(counter.began.values())
    assert begun[2] - begun[0] < 0.1
    assert begun[3] - begun[0] >= counter.takes
    assert max(counter.asked) == 3


async def test_what_ends_together_is_reported_in_one_call() -> None:
    counter = Counter(*"abcd")
    async with at_work(counter.loop()):
        await until(lambda: len(counter.reports) == 4)
    assert [len(call) for call in counter.settled] == [4]


async def test_an_errand_that_does_not_end_is_given_up_after_its_time() -> None:
    counter = Counter("a")
    counter.takes = 3600
    async with at_work(counter.loop()):
        began = clock()
        await until(lambda: bool(counter.reports))
        assert clock() - began == pytest.approx(12, abs=0.1)
    assert counter.reports == {"a": "deadline"}


async def test_a_bug_in_one_errand_is_a_report_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    counter = Counter("a", "b")
    counter.bugs = {"a"}
    async with at_work(counter.loop()):
        await until(lambda: len(counter.reports) == 2)
    assert counter.reports == {"a": "bug", "b": "done"}
