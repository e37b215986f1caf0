"""When a draining worker may end: nothing is due or in flight, here or elsewhere, in any queue that it serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from worker.backoff import Outages
from worker.database import Database, Outage


class Working(Protocol):
    """What takes work of one queue: a loop."""

    @property
    def running(self) -> int: ...

    def stop(self) -> None: ...


class Drain:
    """Asked by a loop that found nothing. The loops of one worker end together: one may make work for another."""

    def __init__(self, database: Database, queues: Sequence[str], outages: Outages) -> None:
        self._database, self._queues, self._outages = database, list(queues), outages
        self._loops: list[Working] = []

    def watch(self, loop: Working) -> None:
        self._loops.append(loop)

    async def over(self) -> bool:
        """Whether this is the end; if so, all loops are told. What is due but was not handed out is healed first."""
        if self._busy():
            return False
        try:
            left = await self._database.work_left(self._queues)
            if left.get("due"):
                await self._database.tick()
        except Outage as error:
            self._outages.lost(str(error))
            return False
        if left.get("due") or left.get("inFlight") or self._busy():
            return False
        for loop in self._loops:
            loop.stop()
        return True

    def _busy(self) -> bool:
        return any(loop.running for loop in self._loops)
