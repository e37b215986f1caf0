"""A poller with a stub for the database and for the job, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.virtual_time import clock
from tests.worker.stub_database import Report, StubDatabase
from worker.backoff import Outages
from worker.drain import Drain
from worker.leases import Lease
from worker.metrics import Metrics
from worker.poller import Perform, Poller
from worker.reports import Tally
from worker.settings import Settings

SETTINGS = Settings(concurrency=4, shutdown_grace_seconds=30)


async def book(tally: Tally, _lease: Lease) -> None:
    """A job that goes well at once."""
    for item in tally.job["items"]:
        tally.settle(item["id"], "exported", external_id=str(item["id"]))


async def nobody() -> None:
    return None


def poller(
    database: StubDatabase, perform: Perform = book, settings: Settings = SETTINGS, *, drain: bool = False, **more: Any
) -> Poller:
    stub: Any = database
    metrics = Metrics()
    outages = Outages(metrics.outages.add)
    ending = Drain(stub, ("exports",), outages) if drain else None
    return Poller(stub, perform, settings, metrics, outages=outages, greet=nobody, clock=clock, drain=ending, **more)


@asynccontextmanager
async def working(made: Poller) -> AsyncIterator[asyncio.Task[int]]:
    task = asyncio.create_task(made.run())
    try:
        yield task
    finally:
        made.stop()
        await task


def outcomes(report: Report) -> list[str]:
    return [result["outcome"] for result in report["results"]]


async def until(true: Callable[[], bool], within: float = 300) -> None:
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110 - what is waited for is a stub's list, and time is virtual
            await asyncio.sleep(0.01)
