"""The peer: procrastinate, a job queue on Postgres of the same language, with a task that does nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import procrastinate

from benchmarks.grounds import Ground, new_name
from dev.postgres import Server

URL = "BENCH_PEER_URL"
told: Callable[[float], None] | None = None
"""Told of each job, when it is begun."""

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=os.environ.get(URL, "")))


@app.task(name="noop")
async def noop() -> None:
    if told:
        told(time.monotonic())


def ground(server: Server) -> Ground:
    """A database of procrastinate."""
    made = Ground(server, new_name("peer"))
    server.create_database(made.name)
    with client(made).open() as opened:
        opened.schema_manager.apply_schema()
    return made


def client(where: Ground) -> procrastinate.App:
    """What hands it jobs."""
    return procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=where.dsn))


def defer(where: Ground, jobs: int, *, delayed: bool = False) -> None:
    """Queue so many no-op jobs, for now or for tomorrow."""
    with client(where).open() as opened:
        task = opened.configure_task("noop", schedule_in={"days": 1} if delayed else None)
        for begun in range(0, jobs, 1000):
            task.batch_defer(*[{} for _ in range(min(jobs - begun, 1000))])
