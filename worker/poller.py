"""Claim, dispatch, settle: the loop that everything hangs on, and the only ``except Exception`` of the worker.

Two calls per round: one claims as many jobs as there are free hands, one settles all that ended. A job's bug becomes a
report and a logged traceback; an outage of the database becomes a pause; a signal becomes a farewell in good order.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from worker import telemetry
from worker.backoff import Outages
from worker.cadence import Cadence
from worker.database import Database, Job, Outage
from worker.drain import Drain
from worker.intake import Intake
from worker.leases import Clock, Heart, Lease, now
from worker.metrics import Metrics
from worker.reports import Tally, failure_of_ours, tell
from worker.settings import Settings
from worker.settler import Report, Settler

Perform = Callable[[Tally, Lease], Awaitable[None]]
_LAST_SETTLE_SECONDS = 5.0
_SLOWEST_POLL = 5
"""How many times the first pause between two idle polls the longest one is."""


class Poller:
    """One worker's loop. ``perform`` does a job and notes in its tally what became of each item."""

    def __init__(
        self,
        database: Database,
        perform: Perform,
        settings: Settings,
        metrics: Metrics,
        *,
        outages: Outages,
        greet: Callable[[], Awaitable[object]],
        drain: Drain | None = None,
        clock: Clock = now,
    ) -> None:
        self._database, self._perform, self._settings, self._metrics = database, perform, settings, metrics
        self._drain, self._clock, self._outages = drain, clock, outages
        self._heart = Heart(self._beat, settings.lease_seconds, clock, on_loss=lambda _lease: metrics.losses.add())
        self._settler = Settler(self._settle, self._arrived, clock=clock)
        cadence = Cadence(settings.poll_seconds, settings.poll_seconds * (1 if drain else _SLOWEST_POLL))
        self.intake = Intake(self._take, self._outages, cadence, free=self._free, greet=greet)
        self.first_claim_at: float | None = None
        self._lanes: dict[str, Lease] = {}
        self._jobs: set[asyncio.Task[None]] = set()
        self._left_unsettled = False
        self.stopping = False
        if drain:
            drain.watch(self)

    @property
    def running(self) -> int:
        """Lanes in our hands: at work, or waiting to be reported."""
        return len(self._lanes)

    def stop(self) -> None:
        """Claim nothing more; finish what is in flight."""
        self.stopping = True
        self.intake.close()

    async def run(self) -> int:
        """Work until stopped or drained. The answer is the exit code of the process."""
        try:
            async with asyncio.TaskGroup() as group:  # a heart or a settler that breaks ends the process, loudly
                organs = [group.create_task(self._heart.run()), group.create_task(self._settler.run())]
                await self.intake.run(self._drained)
                self.stopping = True
                await self._finish()
                for organ in organs:
                    organ.cancel()
        finally:
            for job in self._jobs:
                job.cancel()
            await asyncio.gather(*self._jobs, return_exceptions=True)
        return 1 if self.intake.refused or self._left_unsettled else 0

    def _free(self) -> int:
        return self._settings.concurrency - self.running

    async def _take(self, free: int) -> int:
        """Claim and begin what there are hands for. A lane that turned out to have nothing counts as handed out."""
        since = self._clock()
        settings = self._settings
        jobs = await self._database.claim(free, settings.lease_seconds, settings.delivery_seconds)
        self.first_claim_at = self.first_claim_at or self._clock()
        self._metrics.claims.add()
        for job in filter(None, jobs):
            self._begin(job, since, since + float(job["deliverySeconds"]))
        return len(jobs)

    def _begin(self, job: Job, since: float, deadline: float) -> None:
        lease = self._heart.hold(UUID(job["token"]), since, float(job["leaseSeconds"]), deadline)
        self._lanes[job["lane"]] = lease
        if self.stopping:
            self._settler.put(Tally(job).report(release=True))
            return
        task = asyncio.create_task(self._do(job, lease))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    async def _do(self, job: Job, lease: Lease) -> None:
        """One job, from beginning to report. However it ends, its report is put."""
        tally = Tally(job)
        ended = "done"
        longest_write = self._settings.longest_write_seconds
        try:
            with telemetry.bound(correlation_id=str(job["correlationId"]), organization_id=str(job["orgId"])):
                async with asyncio.timeout(lease.deadline - self._clock() + longest_write):
                    await self._perform(tally, lease)
                tell(tally)
        except TimeoutError:
            ended = "deadline"  # no failure: what is not done goes on in the next delivery
        except asyncio.CancelledError:
            ended = "stopped"
        except Exception as bug:  # noqa: BLE001 - the one place: a bug in a job must not take the worker along
            ended = "bug"
            tally.failure = failure_of_ours(job, f"The worker failed: {type(bug).__name__}.")
            telemetry.error("job.broke", exc_info=bug, lane=job["lane"], kind=job["kind"])
        self._metrics.jobs.add(kind=str(job["kind"]), ended=ended)
        over = self.stopping or self._clock() + longest_write >= lease.deadline
        self._settler.put(tally.report(release=over))

    async def _settle(self, reports: Sequence[Report]) -> list[Job]:
        try:
            jobs = await self._database.settle(reports)
        except Outage as error:
            self._outages.lost(str(error))
            raise
        self._outages.back()
        self._metrics.settles.add()
        return jobs

    def _arrived(self, reports: Sequence[Report], jobs: Sequence[Job], since: float) -> None:
        """Outcomes are home: their lanes are free, or go on with what they have next."""
        deadlines: dict[str, float] = {}
        counts: Counter[str] = Counter()
        for report in reports:
            if lease := self._lanes.pop(report["lane"], None):
                self._heart.release(lease)
                deadlines[report["lane"]] = lease.deadline
            counts.update(result["outcome"] for result in report["results"])
        for outcome, count in counts.items():
            self._metrics.items.add(count, outcome=outcome)
        telemetry.info("outcomes.settled", jobs=len(reports), **counts)
        for job in jobs:
            full = since + float(job["deliverySeconds"])
            self._begin(job, since, min(full, deadlines.get(job["lane"], full)))
        if len(jobs) < len(reports):
            self.intake.cadence.wake()

    async def _beat(self, tokens: Sequence[UUID]) -> set[UUID]:
        seconds = self._settings.lease_seconds
        return await self._database.beat(tokens, seconds, self.running, within=max(seconds / 3, 1))

    async def _finish(self) -> None:
        """Let what is in flight end within the grace period, give the rest back, and bring every outcome home."""
        if self._jobs:
            telemetry.info("worker.finishing", jobs=len(self._jobs))
            await asyncio.wait(self._jobs, timeout=self._settings.shutdown_grace_seconds)
        for task in list(self._jobs):
            task.cancel()
        if self._jobs:
            await asyncio.wait(self._jobs, timeout=_LAST_SETTLE_SECONDS)
        try:
            async with asyncio.timeout(_LAST_SETTLE_SECONDS):
                await self._settler.all_home()
        except TimeoutError:
            telemetry.error("worker.left_unsettled", reports=self._settler.waiting)
            self._left_unsettled = True

    async def _drained(self) -> bool:
        return await self._drain.over() if self._drain else False
