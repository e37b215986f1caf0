"""The loops of one worker, one for each queue it serves: begun one after the other, woken, and ended together.

Exports are what people wait for. So their loop asks first, with nothing imported that only the side jobs need, and when
a wake-up comes it asks alone, on the session that is warm for it; the side jobs follow a moment later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from worker.loop import Loop

FIRST_ALONE_SECONDS = 1.0
"""The longest that the others wait for the first answer to the first."""

OUT_OF_THE_WAY_SECONDS = 0.2
"""How much later than exports the side jobs are asked for: once, however many wake-ups come meanwhile."""


class Loops:
    """``make`` makes the loop of a queue; the first queue's is made at once."""

    def __init__(self, queues: Sequence[str], make: Callable[[str], Loop]) -> None:
        self._make = make
        self.asked = asyncio.Event()
        self._all: list[Loop] = []
        self._first = self._add(queues[0])
        self._others = list(queues[1:])
        self._wakes_others: asyncio.TimerHandle | None = None
        self.stopping = False

    @property
    def running(self) -> int:
        """What is in this worker's hands, of all queues."""
        return sum(loop.running for loop in self._all)

    @property
    def first_claim_at(self) -> float | None:
        return min((loop.first_claim_at for loop in self._all if loop.first_claim_at), default=None)

    async def run(self) -> int:
        """Work until one loop ends, and let the others end in good order, too. The worst of their exit codes."""
        async with asyncio.TaskGroup() as group:
            ran = [group.create_task(self._run(self._first))]
            await self._await_first_answer(ran[0])
            if not self.stopping:
                ran += [group.create_task(self._run(self._add(queue))) for queue in self._others]
        return max(task.result() for task in ran)

    def stop(self) -> None:
        """Take nothing more, of any queue; finish what is in flight."""
        self.stopping = True
        for loop in self._all:
            loop.stop()

    def wake(self) -> None:
        """There may be work, of some queue."""
        self._first.intake.cadence.wake()
        if self._wakes_others is None:
            self._wakes_others = asyncio.get_running_loop().call_later(OUT_OF_THE_WAY_SECONDS, self._wake_others)

    def _wake_others(self) -> None:
        self._wakes_others = None
        for loop in self._all[1:]:
            loop.intake.cadence.wake()

    def _add(self, queue: str) -> Loop:
        loop = self._make(queue)
        loop.intake.asked = self.asked
        self._all.append(loop)
        return loop

    async def _run(self, loop: Loop) -> int:
        code = await loop.run()
        self.stop()
        return code

    async def _await_first_answer(self, first: asyncio.Task[int]) -> None:
        asked = asyncio.create_task(self.asked.wait())
        try:
            await asyncio.wait({asked, first}, timeout=FIRST_ALONE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
