"""What is put in a worker's way so that it stands still at one certain instruction, where it can be killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString

from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.processes import WorkerProcess

WRITE = "addGLImportItems"
LANE: LiteralString = "select from bilag.export_lanes for update"
RUN: LiteralString = "select from bilag.export_runs for update"
ITEMS: LiteralString = "select from bilag.export_items for update"
SCHEDULES: LiteralString = "lock table bilag.export_schedules in access exclusive mode"
HEARTBEATS: LiteralString = "select from bilag.worker_heartbeats for update"
SECRETS: LiteralString = "lock table vault.secrets in access exclusive mode"


@contextmanager
def locked(here: Installation, statement: LiteralString) -> Iterator[None]:
    """While this lasts, somebody has these rows or this table and does not let go."""
    connection = here.database.connect(autocommit=False)
    try:
        connection.execute(statement)
        yield
    finally:
        connection.rollback()
        connection.close()


def stuck_in(here: Installation, verb: str) -> None:
    """Wait until a worker's session waits for a lock inside this function."""
    until(
        f"{verb} waits for a lock",
        lambda: here.database.value(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
            " and query like '%%bilag_internal.' || %s || '(%%'",
            verb,
        ),
        told=lambda: str(here.database.sql("select wait_event_type, query from pg_stat_activity")),
    )


def ready(here: Installation) -> WorkerProcess:
    """A worker that has nothing to do yet."""
    worker = here.worker()
    worker.said("worker.started")
    return worker
