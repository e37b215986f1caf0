"""What the demo runs on: a throw-away Postgres, the fake accounting systems, a worker; each a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from dev.fakes.remote import running
from dev.postgres import Server, throw_away
from dev.sample import Organization, load, organizations
from dev.systems import Systems
from worker import adapters
from worker.migrate import migrate

DATABASE = "bilag"
WORKER_LOGIN = "bilag_demo_worker"
IMPORT_DELAY_SECONDS = "1.5"
"""Xledger's import job posts later; here as well."""
LATENCY_SECONDS = "0.15"


@dataclass(frozen=True)
class Stage:
    """A running installation, and the organisations that are connected to their accounting systems."""

    connection: psycopg.Connection
    server: Server
    systems: Systems
    organizations: list[Organization]


@contextmanager
def stage() -> Iterator[Stage]:
    with (
        throw_away(cron_database=DATABASE) as server,
        running("--import-delay", IMPORT_DELAY_SECONDS, "--latency", LATENCY_SECONDS) as url,
    ):
        if server.cron_database is None:
            server.create_database(DATABASE)
        migrate(server.dsn(DATABASE))
        systems, sample = Systems(url), organizations(adapters.keys())
        with psycopg.connect(server.dsn(DATABASE), autocommit=True) as connection:
            for organization in sample:
                access = systems.connect(organization)
                load(connection, organization, access.settings, access.credential)
            # The worker logs in as a role of its own and acts as bilag_worker, which owns no table right.
            connection.execute(f"create role {WORKER_LOGIN} login in role bilag_worker")
            with _worker(server.dsn(DATABASE, WORKER_LOGIN)):
                yield Stage(connection, server, systems, sample)


@contextmanager
def _worker(dsn: str) -> Iterator[None]:
    environment = os.environ | {
        "DATABASE_URL": dsn,
        "BILAG_ALLOWED_HTTP_HOSTS": "127.0.0.1",
        "BILAG_HTTP_PORT": "0",
    }
    with tempfile.TemporaryDirectory(prefix="bilag-demo-") as folder:
        log = Path(folder) / "worker.log"
        with (
            log.open("wb") as sink,
            subprocess.Popen(
                [sys.executable, "-m", "worker", "worker"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
            ) as process,
        ):
            try:
                yield
            finally:
                process.terminate()
                process.wait(40)
