"""A heart whose database side is scripted, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID, uuid4

from tests.virtual_time import clock
from worker.database import Outage
from worker.leases import Heart, Lease


class Beats:
    """The database's side of the heartbeat."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.asked: list[list[UUID]] = []
        self.dropped: set[UUID] = set()
        self.down = False
        self.takes = 0.0

    async def __call__(self, tokens: Sequence[UUID]) -> set[UUID]:
        self.at.append(clock())
        self.asked.append(list(tokens))
        await asyncio.sleep(self.takes)
        if self.down:
            raise Outage("gone")
        return set(tokens) - self.dropped


async def beating(beats: Beats, story: Callable[[Heart], Awaitable[None]], lease_seconds: float = 60) -> None:
    heart = Heart(beats, lease_seconds, clock)
    task = asyncio.create_task(heart.run())
    try:
        await story(heart)
    finally:
        task.cancel()


def held(heart: Heart, seconds: float = 60, deadline: float = 1000) -> Lease:
    return heart.hold(uuid4(), clock(), seconds, clock() + deadline)
