"""The loops of a worker: exports first and undisturbed, the side jobs a moment later, and all ended together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from worker import loops as page
from worker.loop import Loop
from worker.loops import Loops

pytestmark = pytest.mark.anyio


class Stub:
    """A loop that ends when it is told to, and counts its wake-ups. It is its own intake and its own cadence."""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self.asked = asyncio.Event()
        self.wakes = 0
        self.running = 1
        self.first_claim_at: float | None = None
        self.code = 0
        self.bug: Exception | None = None
        self.ran = False
        self._over = asyncio.Event()

    @property
    def intake(self) -> Stub:
        return self

    @property
    def cadence(self) -> Stub:
        return self

    def wake(self) -> None:
        self.wakes += 1

    def stop(self) -> None:
        self._over.set()

    async def run(self) -> int:
        self.ran = True
        await self._over.wait()
        if self.bug:
            raise self.bug
        return self.code


class Story:
    """Loops of exports and two side jobs, running."""

    def __init__(self) -> None:
        self.made: dict[str, Stub] = {}
        self.loops = Loops(("exports", "health_checks", "webhooks"), self._make)
        self.ends = asyncio.create_task(self.loops.run())

    def _make(self, queue: str) -> Loop:
        self.made[queue] = Stub(queue)
        return cast(Loop, self.made[queue])

    async def answered(self) -> None:
        """Exports got their first answer."""
        self.made["exports"].asked.set()
        await until(lambda: len(self.made) == 3 and all(stub.ran for stub in self.made.values()))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - what is waited for is state, told by nobody
            await asyncio.sleep(0.001)


async def quietly(awaited: Awaitable[int]) -> int:
    async with asyncio.timeout(5):
        return await awaited


@pytest.fixture(autouse=True)
def moments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "OUT_OF_THE_WAY_SECONDS", 0.02)


async def test_the_side_jobs_are_not_even_made_before_exports_have_asked() -> None:
    story = Story()
    await until(lambda: story.made["exports"].ran)
    await asyncio.sleep(0.05)
    assert list(story.made) == ["exports"]
    await story.answered()
    assert story.loops.running == 3
    story.loops.stop()
    assert await quietly(story.ends) == 0


async def test_exports_without_an_answer_do_not_keep_the_side_jobs_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "FIRST_ALONE_SECONDS", 0.01)
    story = Story()
    await until(lambda: len(story.made) == 3)
    assert not story.loops.asked.is_set()
    story.made["webhooks"].asked.set()  # whoever is answered first: the worker works
    assert story.loops.asked.is_set()
    story.loops.stop()
    await quietly(story.ends)


async def test_a_wake_up_is_for_exports_at_once_and_for_the_side_jobs_soon_and_once() -> None:
    story = Story()
    await story.answered()
    for _ in range(10):
        story.loops.wake()
    assert [stub.wakes for stub in story.made.values()] == [10, 0, 0]
    await until(lambda: story.made["webhooks"].wakes > 0)
    story.loops.wake()
    await until(lambda: story.made["webhooks"].wakes > 1)
    assert [stub.wakes for stub in story.made.values()] == [11, 2, 2]
    story.loops.stop()
    await quietly(story.ends)


async def test_one_that_is_stopped_before_its_first_answer_begins_nothing_else() -> None:
    story = Story()
    await until(lambda: story.made["exports"].ran)
    story.loops.stop()
    assert await quietly(story.ends) == 0
    assert list(story.made) == ["exports"]


async def test_when_one_ends_all_end_and_the_worst_exit_code_counts() -> None:
    story = Story()
    await story.answered()
    story.made["health_checks"].code = 1
    story.made["webhooks"].stop()
    assert await quietly(story.ends) == 1
    assert story.loops.stopping


@pytest.mark.parametrize("answered", [True, False])
async def test_a_bug_in_a_loop_ends_the_worker_loudly(answered: bool) -> None:
    story = Story()
    await until(lambda: story.made["exports"].ran)
    if answered:
        await story.answered()
    story.made["exports"].bug = ValueError("a bug")
    story.made["exports"].stop()
    with pytest.raises(ExceptionGroup) as error:
        await quietly(story.ends)
    assert error.group_contains(ValueError)


async def test_the_first_claim_of_all_is_the_first() -> None:
    story = Story()
    assert story.loops.first_claim_at is None
    await story.answered()
    story.made["exports"].first_claim_at, story.made["webhooks"].first_claim_at = 8.0, 7.0
    assert story.loops.first_claim_at == 7.0
    story.loops.stop()
    await quietly(story.ends)
