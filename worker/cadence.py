"""How often an idle worker asks for work: polling is the contract, a wake-up only shortens it."""

from __future__ import annotations

import asyncio
import random

_GROWTH = 1.5


class Cadence:
    """Pauses that grow from ``first`` to ``slowest`` seconds while nothing is found, and end when somebody wakes."""

    def __init__(self, first: float, slowest: float) -> None:
        self._first, self._slowest = first, max(first, slowest)
        self._pause = first
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """There may be work: ask now."""
        self._woken.set()

    def asking(self) -> None:
        """A question is about to be asked: only a later wake-up is news."""
        self._woken.clear()

    def found(self) -> None:
        self._pause = self._first

    async def rest(self) -> None:
        """Pause, and longer the next time unless woken."""
        woken = await self.wait(self._pause)
        self._pause = self._first if woken else min(self._pause * _GROWTH, self._slowest)

    async def wait(self, seconds: float) -> bool:
        """Wait for a wake-up, at most about so long. True if it came."""
        try:
            async with asyncio.timeout(seconds * random.uniform(0.9, 1.1)):  # noqa: S311 - spreads workers
                await self._woken.wait()
        except TimeoutError:
            return False
        return True
