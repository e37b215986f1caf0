"""The worker's duties beside its jobs: to introduce itself, and to tick when nobody else does.

The tick heals and schedules; pg_cron runs it every minute. When its heart has stood still for two minutes, or never
beat, workers tick instead: the watchman is not the watched.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping

from worker import telemetry
from worker.database import Database, Outage, Refusal
from worker.leases import now
from worker.version import CONTRACT

STALE_SECONDS = 120.0
ROUND_SECONDS = 30.0


class Watchman:
    """Says hello each half minute. ``version`` and ``environment`` are this worker's; ``heard`` gets each answer."""

    def __init__(
        self,
        database: Database,
        version: str,
        environment: str,
        *,
        clock: Callable[[], float] = now,
        heard: Callable[[Mapping[str, object]], None] = lambda _said: None,
    ) -> None:
        self._database, self._version, self._environment = database, version, environment
        self._clock, self._heard = clock, heard
        self._ticked_at: float | None = None

    async def greet(self) -> Mapping[str, object]:
        """Introduce this worker. Raises Refusal (KB010, KB011, or what is wrong with Vault) and Outage."""
        said = await self._database.hello(socket.gethostname(), os.getpid(), self._version, CONTRACT, self._environment)
        self._heard(said)
        return said

    async def run(self, first: Mapping[str, object]) -> None:
        """Watch until cancelled, beginning with what the first hello said."""
        said = first
        while True:
            try:
                if self._must_tick(said.get("tickAge")):
                    await self.tick()
                await asyncio.sleep(ROUND_SECONDS)
                said = await self.greet()
            except (Outage, Refusal) as error:
                telemetry.debug("watch.failed", message=str(error))
                await asyncio.sleep(ROUND_SECONDS / 6)

    async def tick(self) -> None:
        await self._database.tick()
        if self._ticked_at is None:
            telemetry.warning("tick.taken_over", message="pg_cron does not tick; this worker does.")
        self._ticked_at = self._clock()

    def _must_tick(self, age: object) -> bool:
        """Whether nobody else ticks: the last tick was never, long ago, or our own."""
        if not isinstance(age, int | float) or age > STALE_SECONDS:
            return True
        if self._ticked_at is None:
            return False
        if age < self._clock() - self._ticked_at - ROUND_SECONDS / 2:
            self._ticked_at = None
            telemetry.info("tick.handed_back")
            return False
        return True
