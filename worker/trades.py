"""The side jobs that there are: how each queue of errands is taken, done and settled.

What they need is imported when they are made, for they are made behind the first claim of exports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.database import Database, Job
    from worker.errands import Trade, Unfinished
    from worker.settings import Settings
    from worker.settler import Report
    from worker.workshop import Workshop

HEALTH_ROUND_SECONDS = 12.0
"""One organisation's checks, all together."""


def health_trade(database: Database, settings: Settings, workshop: Callable[[], Workshop]) -> Trade:
    """Health checks: one errand is a round, all due connections of one organisation."""
    from worker.errands import Trade, Unfinished

    async def perform(errand: Job) -> Report:
        return await workshop().health.run_health_checks(errand)

    def give_up(errand: Job, why: Unfinished) -> Report:
        from worker.health_checks import broken, put_down  # it has been imported by the round that failed

        return put_down(errand) if why is Unfinished.STOPPED else broken(errand)

    return Trade(
        queue="health_checks",
        take=lambda slots: database.claim_health_checks(slots, settings.lease_seconds),
        perform=perform,
        give_up=give_up,
        settle=database.settle_health_checks,
        seconds=HEALTH_ROUND_SECONDS,
        hands=settings.concurrency,
    )


def webhook_trade(database: Database, settings: Settings, _workshop: Callable[[], Workshop]) -> Trade:
    """Deliveries of events to the one webhook."""
    from worker.webhooks import deliveries

    return deliveries(database, settings)


TRADES: Mapping[str, Callable[[Database, Settings, Callable[[], Workshop]], Trade]] = {
    "health_checks": health_trade,
    "webhooks": webhook_trade,
}

QUEUES = ("exports", *TRADES)
"""What a worker may serve: exports by the poller, the others as errands."""
