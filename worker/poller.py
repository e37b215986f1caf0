"""The loop of exports: claim, dispatch, settle, with a lease on every lane that is in our hands.

Two calls per round: one claims as many jobs as there are free hands, one settles all that ended. A job's bug becomes a
report and a logged traceback; what an outage and a signal become is :mod:`worker.loop`'s.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from worker import telemetry
from worker.backoff import Outages
from worker.database import Database, Job
from worker.drain import Drain
from worker.leases import Clock, Heart, Lease, now
from worker.loop import Loop
from worker.metrics import Metrics
from worker.settings import Settings
from worker.settler import Report

if TYPE_CHECKING:
    from worker.reports import Tally

Perform: TypeAlias = "Callable[[Tally, Lease], Awaitable[None]]"


class Poller(Loop):
    """``perform`` does a job and notes in its tally what became of each item."""

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
        super().__init__("exports", settings, outages=outages, greet=greet, drain=drain, clock=clock)
        self._database, self._perform, self._settings, self._metrics = database, perform, settings, metrics
        self._heart = Heart(self._beat, settings.lease_seconds, clock, on_loss=lambda _lease: metrics.losses.add())
        self._lanes: dict[str, Lease] = {}

    @property
    def running(self) -> int:
        """Lanes in our hands: at work, or waiting to be reported."""
        return len(self._lanes)

    def _organs(self) -> list[Coroutine[Any, Any, None]]:
        return [self._heart.run(), *super()._organs()]

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
        await asyncio.sleep(0)  # the jobs go first
        return len(jobs)

    def _begin(self, job: Job, since: float, deadline: float) -> None:
        from worker.reports import Tally  # for the first job, and not for the first claim

        lease = self._heart.hold(UUID(job["token"]), since, float(job["leaseSeconds"]), deadline)
        self._lanes[job["lane"]] = lease
        if self.stopping:
            self._settler.put(Tally(job).report(release=True))
            return
        self._spawn(self._do(Tally(job), lease))

    async def _do(self, tally: Tally, lease: Lease) -> None:
        """One job, from beginning to report. However it ends, its report is put."""
        from worker.reports import failure_of_ours, tell

        job, ended = tally.job, "done"
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
        except Exception as bug:  # noqa: BLE001 - a bug in a job must not take the worker along
            ended = "bug"
            tally.failure = failure_of_ours(job, f"The worker failed: {type(bug).__name__}.")
            telemetry.error("job.broke", exc_info=bug, lane=job["lane"], kind=job["kind"])
        self._metrics.jobs.add(kind=str(job["kind"]), ended=ended)
        over = self.stopping or self._clock() + longest_write >= lease.deadline
        self._settler.put(tally.report(release=over))

    async def _send(self, reports: Sequence[Report]) -> list[Job]:
        jobs = await self._database.settle(reports)
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
