"""Asking for work: at once while there is more, ever more rarely while there is none, sooner when called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.virtual_time import VIRTUAL_TIME, clock
from worker.backoff import Outages
from worker.cadence import Cadence
from worker.database import Outage, Refusal
from worker.intake import Intake

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return VIRTUAL_TIME


class Desk:
    """What is handed out, call by call; afterwards nothing."""

    def __init__(self, *answers: int | Exception, hands: int = 10) -> None:
        self.answers = list(answers)
        self.hands = hands
        self.asked_at: list[float] = []
        self.greeted = 0
        self.outages = Outages()
        self.intake = Intake(self._take, self.outages, Cadence(1, 5), free=lambda: self.hands, greet=self._greet)

    async def _take(self, _free: int) -> int:
        self.asked_at.append(clock())
        answer = self.answers.pop(0) if self.answers else 0
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _greet(self) -> None:
        self.greeted += 1

    async def run(self, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> list[float]:
        """The moments at which it asked, from the beginning."""
        began = clock()
        task = asyncio.create_task(self.intake.run(never))
        await asyncio.sleep(seconds / 2)
        meanwhile()
        await asyncio.sleep(seconds / 2)
        self.intake.close()
        await task
        return [at - began for at in self.asked_at]


async def never() -> bool:
    return False


async def test_while_nothing_is_found_the_pauses_grow_from_one_second_to_five() -> None:
    asked = await Desk().run(60)
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert pauses[0] == pytest.approx(1, abs=0.11)
    assert max(pauses) <= 5.5
    assert pauses[-1] == pytest.approx(5, abs=0.51)


async def test_as_long_as_all_hands_are_filled_it_asks_again_at_once() -> None:
    desk = Desk(10, 10, 10)
    assert (await desk.run(0.5))[:4] == [0, 0, 0, 0]


async def test_a_wake_up_ends_the_pause_at_once() -> None:
    desk = Desk()
    asked = await desk.run(20, desk.intake.cadence.wake)
    assert 10 in [round(at, 3) for at in asked]


async def test_a_wake_up_between_question_and_pause_is_not_lost() -> None:
    desk = Desk()
    original = desk._take

    async def woken_while_asking(free: int) -> int:
        if len(desk.asked_at) == 0:
            desk.intake.cadence.wake()
        return await original(free)

    desk.intake._take = woken_while_asking
    assert (await desk.run(0.5))[:2] == [0, 0]


async def test_with_no_hand_free_nothing_is_asked() -> None:
    assert await Desk(hands=0).run(10) == []


async def test_an_outage_is_said_once_and_survived() -> None:
    desk = Desk(*[Outage("gone")] * 5, 3)
    told: list[int] = []
    desk.outages.on_outage = lambda: told.append(1)
    asked = await desk.run(20)
    assert told == [1]
    assert not desk.outages.down
    assert asked[5] < 6


async def test_a_worker_of_another_contract_stops_asking() -> None:
    desk = Desk(Refusal("This worker keeps contract 1, the database keeps contract 2.", "KB010"))
    assert len(await desk.run(30)) == 1
    assert desk.intake.refused


async def test_a_worker_that_the_database_forgot_introduces_itself_again() -> None:
    desk = Desk(Refusal("This worker has not said hello.", "KB012"), 1)
    asked = await desk.run(10)
    assert desk.greeted == 1
    assert len(asked) > 1


async def test_what_a_deploy_breaks_for_a_moment_is_asked_again() -> None:
    desk = Desk(Refusal("function does not exist", "42883"), 1)
    assert len(await desk.run(10)) > 1
    assert not desk.intake.refused


async def test_it_ends_when_there_is_nothing_and_that_is_the_end() -> None:
    desk = Desk(10, 2)
    answers = iter([False, True])

    async def done() -> bool:
        return next(answers)

    await desk.intake.run(done)
    assert len(desk.asked_at) == 4
