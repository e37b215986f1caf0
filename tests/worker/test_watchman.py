"""When nobody ticks, the workers do; when somebody does again, they stop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.virtual_time import VIRTUAL_TIME, clock
from worker import version
from worker.database import Outage
from worker.watchman import Watchman

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return VIRTUAL_TIME


class Town:
    """A database whose clock tower ticks until ``cron_until``, and whenever a watchman does."""

    def __init__(self, *, cron: bool) -> None:
        self.cron = cron
        self.ticked_at: float | None = None
        self.ours: list[float] = []
        self.hellos: list[tuple[Any, ...]] = []
        self.down = False

    async def hello(self, *introduction: Any) -> dict[str, Any]:
        self.hellos.append(introduction)
        if self.down:
            raise Outage("gone")
        if self.cron:
            self.ticked_at = clock() - clock() % 60
        return {"tickAge": None if self.ticked_at is None else clock() - self.ticked_at}

    async def tick(self) -> None:
        self.ticked_at = clock()
        self.ours.append(clock())

    async def watched(self, seconds: float) -> list[float]:
        """Our ticks, from the beginning of the watch."""
        began = clock()
        stub: Any = self
        watchman = Watchman(stub, "1.0", "development", clock=clock)
        task = asyncio.create_task(watchman.run(await watchman.greet()))
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return [at - began for at in self.ours]


async def test_while_pg_cron_ticks_the_worker_does_not() -> None:
    assert await Town(cron=True).watched(600) == []


async def test_where_nothing_ever_ticked_the_worker_ticks_every_half_minute() -> None:
    assert await Town(cron=False).watched(125) == [0, 30, 60, 90, 120]


async def test_a_tick_that_stands_still_for_two_minutes_is_taken_over() -> None:
    town = Town(cron=False)
    town.ticked_at = clock()
    assert (await town.watched(200))[:2] == [150, 180]


async def test_when_pg_cron_comes_back_the_worker_stops_ticking() -> None:
    town = Town(cron=False)
    watch = asyncio.create_task(town.watched(600))
    await asyncio.sleep(100)
    town.cron = True
    assert max(await watch) < 200


async def test_an_outage_is_watched_through() -> None:
    town = Town(cron=False)
    watch = asyncio.create_task(town.watched(300))
    await asyncio.sleep(50)
    town.down = True
    await asyncio.sleep(100)
    town.down = False
    ticks = await watch
    assert len([at for at in ticks if at > 150]) >= 4


async def test_it_introduces_itself_with_version_contract_and_environment() -> None:
    town = Town(cron=True)
    await town.watched(1)
    assert town.hellos[0][2:] == ("1.0", version.CONTRACT, "development")
