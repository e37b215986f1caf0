"""A worker from start to end: its parts put together, started in the order that makes the first claim early.

Only the database comes before the first claim. What serves the jobs (adapters, HTTP, logs) is imported when there is
one; what serves the operator (status page, LISTEN, attempt rows) starts behind it.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from worker import telemetry
from worker.backoff import Outages
from worker.cold_start import collect_again, milliseconds_since_start
from worker.database import Database, conninfo
from worker.drain import Drain
from worker.leases import Lease
from worker.loop import Loop
from worker.loops import Loops
from worker.metrics import Metrics
from worker.poller import Poller
from worker.settings import Settings
from worker.trades import QUEUES, TRADES
from worker.version import bilag_version
from worker.watchman import Watchman

_START_SECONDS = 1.0
"""How long no garbage is looked for."""

if TYPE_CHECKING:
    from worker.reports import Tally
    from worker.status_http import StatusPage
    from worker.workshop import Workshop


async def serve(settings: Settings, *, drain: bool = False, queues: Sequence[str] = QUEUES) -> int:
    """Work until a signal, or with ``drain`` until nothing is due. The exit code.

    Raises Outage or Refusal when the database cannot be worked with from the beginning.
    """
    service = Service(settings, drain=drain, queues=queues)
    try:
        return await service.run()
    finally:
        await service.close()


class Service:
    """The parts of one worker."""

    def __init__(self, settings: Settings, *, drain: bool, queues: Sequence[str] = QUEUES) -> None:
        self.settings = settings
        self.worker_id = uuid4()
        self.metrics = Metrics()
        self.database = Database(settings.worker_url, self.worker_id)
        self.watchman = Watchman(self.database, bilag_version(), settings.environment, heard=self.metrics.heard)
        self.workshop: Workshop | None = None
        self._broken = False
        if settings.listen_url:
            conninfo(settings.listen_url, "bilag worker", "BILAG_LISTEN_URL")  # a mistake is told at the start
        self._queues, self._outages = queues, Outages(self.metrics.outages.add)
        self._drain = Drain(self.database, queues, self._outages) if drain else None
        self._loops = Loops(queues, self._loop)

    def _loop(self, queue: str) -> Loop:
        """What serves one queue. All loops of a worker notice an outage, and its end, together."""
        if queue == "exports":
            return Poller(
                self.database,
                self._perform,
                self.settings,
                self.metrics,
                outages=self._outages,
                greet=self.watchman.greet,
                drain=self._drain,
            )
        from worker.errands import Errands

        trade = TRADES[queue](self.database, self.settings, self._workshop)
        return Errands(
            trade, self.settings, self.metrics, outages=self._outages, greet=self.watchman.greet, drain=self._drain
        )

    async def run(self) -> int:
        asyncio.get_running_loop().call_later(_START_SECONDS, collect_again)
        said = await self.watchman.greet()
        self._obey_signals()
        companions = asyncio.create_task(self._accompany(said))
        companions.add_done_callback(self._companions_ended)
        try:
            code = await self._loops.run()
        finally:
            companions.cancel()
            await asyncio.gather(companions, return_exceptions=True)
        return 1 if self._broken else code

    async def close(self) -> None:
        if self.workshop:
            await self.workshop.close()
        await self.database.close()

    async def _perform(self, tally: Tally, lease: Lease) -> None:
        await self._workshop().exports.perform(tally, lease)

    def _workshop(self) -> Workshop:
        """The tools of the jobs, made at the first one."""
        if self.workshop is None:
            from worker.workshop import Workshop  # imports what jobs need, which no start should wait for

            self.workshop = Workshop(self.settings, self.database, self.metrics)
        return self.workshop

    async def _accompany(self, said: Mapping[str, object]) -> None:
        """Everything that can wait for the first claim."""
        await self._loops.asked.wait()
        telemetry.info(
            "worker.started",
            worker_id=str(self.worker_id),
            version=bilag_version(),
            environment=self.settings.environment,
            concurrency=self.settings.concurrency,
            queues=list(self._queues),
            first_claim_after_ms=milliseconds_since_start(self._loops.first_claim_at),
        )
        page = await self._open_page()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.watchman.run(said))
                group.create_task(self._listener())
        finally:
            if page:
                page.close()

    async def _listener(self) -> None:
        from worker.listener import Listener
        from worker.warming import Warmer

        warmer = Warmer(self.database, self._workshop)
        url = self.settings.listen_url or self.settings.worker_url
        await Listener(url, self.worker_id, self._loops.wake, warmer.soon).run()

    async def _open_page(self) -> StatusPage | None:
        if not self.settings.http_port:
            return None
        from worker.status_http import StatusPage

        self.metrics.gauge("bilag_running_lanes", "Work in this worker's hands.", lambda: self._loops.running)
        page = StatusPage(lambda: (True, {}), self._ready, self.metrics.render)
        await page.open(self.settings.http_host, self.settings.http_port)
        return page

    def _ready(self) -> tuple[bool, dict[str, int]]:
        return self._loops.asked.is_set() and not self._outages.down, {"running": self._loops.running}

    def _companions_ended(self, companions: asyncio.Task[None]) -> None:
        """A bug in a companion is no reason to drop what is in flight, nor to go on without it."""
        if not companions.cancelled() and (bug := companions.exception()):
            telemetry.error("worker.broke", exc_info=bug)
            self._broken = True
            self._loops.stop()

    def _obey_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, partial(self._obey, number))

    def _obey(self, number: int) -> None:
        """The first signal: finish what is in flight. The second: stop at once, and let the leases run out."""
        name = signal.Signals(number).name
        if self._loops.stopping:
            telemetry.warning("worker.stopped_at_once", signal=name, running=self._loops.running)
            os._exit(128 + number)
        telemetry.info("worker.stopping", signal=name, running=self._loops.running)
        self._loops.stop()
