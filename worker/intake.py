"""Asking for work: as much as there are free hands, again at once while there is more, else ever more rarely."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from worker import telemetry
from worker.backoff import Outages
from worker.cadence import Cadence
from worker.database import Outage, Refusal

_FATAL = ("KB010", "KB011")
"""Another contract, another environment: no waiting mends these."""
_UNKNOWN_WORKER = "KB012"


class Intake:
    """``take`` claims and begins what this many free hands can hold, and says how much was handed out.

    ``free`` counts the hands; ``greet`` introduces this worker anew.
    """

    def __init__(
        self,
        take: Callable[[int], Awaitable[int]],
        outages: Outages,
        cadence: Cadence,
        *,
        free: Callable[[], int],
        greet: Callable[[], Awaitable[object]],
    ) -> None:
        self._take, self._outages, self.cadence = take, outages, cadence
        self._free, self._greet = free, greet
        self.asked = asyncio.Event()
        self.refused = False
        self._closed = False

    def close(self) -> None:
        """Ask no more."""
        self._closed = True
        self.cadence.wake()

    async def run(self, done: Callable[[], Awaitable[bool]]) -> None:
        """Ask until closed, or until there was nothing and ``done`` says that this is the end."""
        while not self._closed:
            self.cadence.asking()
            free = self._free()
            found = await self._ask(free) if free > 0 else 0
            if found is None:
                continue
            if found:
                self.cadence.found()
            elif free > 0 and await done():
                return
            if found < free or free <= 0:
                await self.cadence.rest()

    async def _ask(self, free: int) -> int | None:
        """How many lanes were handed out, or None if there was no answer."""
        try:
            found = await self._take(free)
        except Outage as error:
            self._outages.lost(str(error))
            await self.cadence.wait(self._outages.backoff.next())
            return None
        except Refusal as error:
            await self._suffer(error)
            return None
        self._outages.back()
        self.asked.set()
        return found

    async def _suffer(self, error: Refusal) -> None:
        """The database will not hand out work. A wrong contract or environment does not pass; a deploy does."""
        telemetry.error("claim.refused", message=str(error), sqlstate=error.sqlstate, hint=error.hint)
        if error.sqlstate in _FATAL:
            self.refused = True
            self.close()
            return
        try:
            if error.sqlstate == _UNKNOWN_WORKER:
                await self._greet()
        except (Outage, Refusal) as unheard:
            telemetry.warning("greeting.failed", message=str(unheard))
        await self.cadence.wait(self._outages.backoff.next())
