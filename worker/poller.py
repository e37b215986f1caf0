"""Claim, dispatch, settle: the loop that everything hangs on, and the only ``except Exception`` of the worker.

Two calls per round: one claims as many jobs as there are free hands, one settles all that ended. A job's bug becomes a
report and a logged traceback; an outage of the database becomes a pause; a signal becomes a farewell in good order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from worker import telemetry
from worker.backoff import Outages
from worker.cadence import Cadence
from worker.database import Database, Job, Outage, Refusal
from worker.leases import Heart, Lease, now
from worker.metrics import Metrics
from worker.reports import Tally, failure_of_ours
from worker.settings import Settings
from worker.settler import Report, Settler

Perform = Callable[[Tally, Lease], Awaitable[None]]
_FATAL = ("KB010", "KB011")
_UNKNOWN_WORKER = "KB012"
_SLOWEST_POLL_SECONDS = 5.0
_LAST_SETTLE_SECONDS = 5.0


class Poller:
    """One worker's loop. ``perform`` does a job and notes in its tally what became of each item."""

    def __init__(
        self,
        database: Database,
        perform: Perform,
        settings: Settings,
        metrics: Metrics,
        *,
        greet: Callable[[], Awaitable[object]],
        drain: bool = False,
    ) -> None:
        self.database, self.perform, self.settings, self.metrics = database, perform, settings, metrics
        self.greet, self.drain = greet, drain
        self.heart = Heart(self._beat, settings.lease_seconds, on_loss=lambda _lease: metrics.losses.add())
        self.settler = Settler(self._settle, self._arrived)
        self.exit_code = 0
        self._lanes: dict[str, Lease] = {}
        self._jobs: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self.cadence = Cadence(settings.poll_seconds, settings.poll_seconds if drain else _SLOWEST_POLL_SECONDS)
        self._outages = Outages(metrics.outages.add)

    @property
    def running(self) -> int:
        """Lanes in our hands: at work, or waiting to be reported."""
        return len(self._lanes)

    def stop(self) -> None:
        """Claim nothing more; finish what is in flight."""
        self._stopping.set()
        self.cadence.wake()

    async def run(self) -> int:
        """Work until stopped or drained. The answer is the exit code of the process."""
        try:
            async with asyncio.TaskGroup() as group:  # a heart or a settler that breaks ends the process, loudly
                organs = [group.create_task(self.heart.run()), group.create_task(self.settler.run())]
                await self._claim_until_stopped()
                await self._finish()
                for organ in organs:
                    organ.cancel()
        finally:
            for job in self._jobs:
                job.cancel()
            await asyncio.gather(*self._jobs, return_exceptions=True)
        return self.exit_code

    async def _claim_until_stopped(self) -> None:
        while not self._stopping.is_set():
            self.cadence.asking()
            free = self.settings.concurrency - self.running
            found = await self._claim(free) if free > 0 else 0
            if found is None:
                continue
            if found:
                self.cadence.found()
            elif free > 0 and self.drain and not self.running and await self._drained():
                return
            if found < free or free <= 0:
                await self.cadence.rest()

    async def _claim(self, free: int) -> int | None:
        """Take jobs and begin them. None if the database did not answer."""
        since = now()
        try:
            jobs = await self.database.claim(free, self.settings.lease_seconds, self.settings.delivery_seconds)
        except Outage as error:
            self._outages.lost(str(error))
            await self.cadence.wait(self._outages.backoff.next())
            return None
        except Refusal as error:
            await self._refused(error)
            return None
        self._outages.back()
        self.metrics.claims.add()
        for job in jobs:
            if job is not None:  # null stands for a lane that turned out to have nothing
                self._begin(job, since, since + float(job["deliverySeconds"]))
        return len(jobs)

    async def _refused(self, error: Refusal) -> None:
        """The database will not hand out work. A wrong contract or environment does not pass; a deploy does."""
        telemetry.error("claim.refused", message=str(error), sqlstate=error.sqlstate, hint=error.hint)
        if error.sqlstate in _FATAL:
            self.exit_code = 1
            self.stop()
        elif error.sqlstate == _UNKNOWN_WORKER:
            await self.greet()
        await self.cadence.wait(self._outages.backoff.next())

    def _begin(self, job: Job, since: float, deadline: float) -> None:
        lease = self.heart.hold(UUID(job["token"]), since, float(job["leaseSeconds"]), deadline)
        self._lanes[job["lane"]] = lease
        if self._stopping.is_set():
            self.settler.put(Tally(job).report(release=True))
            return
        task = asyncio.create_task(self._do(job, lease))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    async def _do(self, job: Job, lease: Lease) -> None:
        """One job, from beginning to report. However it ends, its report is put."""
        tally = Tally(job)
        ended = "done"
        try:
            fields = {"correlation_id": str(job.get("correlationId")), "organization_id": str(job.get("orgId"))}
            last_moment = lease.deadline - now() + self.settings.longest_write_seconds
            with telemetry.bound(**fields):
                async with asyncio.timeout(last_moment):
                    await self.perform(tally, lease)
        except TimeoutError:
            ended = "deadline"  # no failure: what is not done goes on in the next delivery
        except asyncio.CancelledError:
            ended = "stopped"
        except Exception as bug:  # noqa: BLE001 - the one place: a bug in a job must not take the worker along
            ended = "bug"
            tally.failure = failure_of_ours(job, f"The worker failed: {type(bug).__name__}.")
            telemetry.error("job.broke", exc_info=bug, lane=job.get("lane"), kind=job.get("kind"))
        self.metrics.jobs.add(kind=str(job.get("kind")), ended=ended)
        over = self._stopping.is_set() or now() + self.settings.longest_write_seconds >= lease.deadline
        self.settler.put(tally.report(release=over))

    async def _settle(self, reports: Sequence[Report]) -> list[Job]:
        try:
            jobs = await self.database.settle(reports)
        except Outage as error:
            self._outages.lost(str(error))
            raise
        self._outages.back()
        self.metrics.settles.add()
        return jobs

    def _arrived(self, reports: Sequence[Report], jobs: list[Job], since: float) -> None:
        """Outcomes are home: their lanes are free, or go on with what they have next."""
        deadlines: dict[str, float] = {}
        for report in reports:
            if lease := self._lanes.pop(report["lane"], None):
                self.heart.release(lease)
                deadlines[report["lane"]] = lease.deadline
            for result in report["results"]:
                self.metrics.items.add(outcome=result["outcome"])
        for job in jobs:
            full = since + float(job["deliverySeconds"])
            self._begin(job, since, min(full, deadlines.get(job["lane"], full)))
        if len(jobs) < len(reports):
            self.cadence.wake()

    async def _beat(self, tokens: Sequence[UUID]) -> set[UUID]:
        seconds = self.settings.lease_seconds
        return await self.database.beat(tokens, seconds, self.running, within=max(seconds / 3, 1))

    async def _finish(self) -> None:
        """Let what is in flight end within the grace period, give the rest back, and bring every outcome home."""
        if self._jobs:
            telemetry.info("worker.finishing", jobs=len(self._jobs))
            await asyncio.wait(self._jobs, timeout=self.settings.shutdown_grace_seconds)
        for task in list(self._jobs):
            task.cancel()
        if self._jobs:
            await asyncio.wait(self._jobs, timeout=_LAST_SETTLE_SECONDS)
        try:
            async with asyncio.timeout(_LAST_SETTLE_SECONDS):
                await self.settler.all_home()
        except TimeoutError:
            telemetry.error("worker.left_unsettled", reports=self.settler.waiting)
            self.exit_code = 1

    async def _drained(self) -> bool:
        """Whether nothing is due or in flight anywhere. What is due but was not handed out is healed first."""
        try:
            left = await self.database.work_left()
            if not left.get("due") and not left.get("inFlight"):
                return True
            await self.database.tick()
        except Outage as error:
            self._outages.lost(str(error))
        return False
