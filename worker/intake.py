"""Asking for work: as much as there are free hands, again at once while there is more, else ever more rarely."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from worker import telemetry
from worker.backoff import Outages
from worker.cadence import Cadence
from worker.database import Database, Job, Outage, Refusal
from worker.leases import now
from worker.settings import Settings

_FATAL = ("KB010", "KB011")
"""Another contract, another environment: no waiting mends these."""
_UNKNOWN_WORKER = "KB012"


class Intake:
    """``free`` says how many lanes may be taken, ``begin`` takes them; ``greet`` introduces this worker anew."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        outages: Outages,
        cadence: Cadence,
        *,
        free: Callable[[], int],
        begin: Callable[[Sequence[Job], float], None],
        greet: Callable[[], Awaitable[object]],
    ) -> None:
        self._database, self._settings, self._outages = database, settings, outages
        self._free, self._begin, self._greet = free, begin, greet
        self.cadence = cadence
        self.asked = asyncio.Event()
        self.first_answer_at: float | None = None
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
        """Claim and begin. How many lanes were handed out, or None if there was no answer."""
        since = now()
        try:
            jobs = await self._database.claim(free, self._settings.lease_seconds, self._settings.delivery_seconds)
        except Outage as error:
            self._outages.lost(str(error))
            await self.cadence.wait(self._outages.backoff.next())
            return None
        except Refusal as error:
            await self._suffer(error)
            return None
        self._outages.back()
        if not self.asked.is_set():
            self.first_answer_at = now()
            self.asked.set()
        self._begin([job for job in jobs if job], since)  # null: a lane that turned out to have nothing
        return len(jobs)

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
