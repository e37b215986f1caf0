"""One export job, done with a stub adapter in virtual time."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from tests.virtual_time import clock
from tests.worker.stub_adapter import Answer, StubAdapter
from tests.worker.stub_database import a_job
from worker import errors
from worker.attempt_log import AttemptLog, Row
from worker.credentials import CredentialProvider
from worker.exports import Exports
from worker.faults import Fault, failure
from worker.http import Client
from worker.leases import Lease
from worker.metrics import Metrics
from worker.reports import Tally
from worker.retry import RetryOptions


def write(key: int | Fault, **facts: Any) -> Exception:
    """The error that a write meets."""
    return failure(key, "no", writes=True, **facts)


def read(key: int | Fault) -> Exception:
    return failure(key, "no", writes=False)


class Desk:
    """One job done with a stub adapter; then its outcomes, its failure and its attempt rows."""

    def __init__(self, secret: Any = None) -> None:
        self.adapter = StubAdapter()
        self.rows: list[Row] = []
        self.lease_left = 60.0
        self.delivery_left = 150.0
        self.secret = secret or {"secret": "the-token", "version": 1, "expiresAt": None}
        self.reads: list[UUID] = []
        self.tally = Tally({})

    async def do(self, kind: str = "post", items: int = 2, **facts: Any) -> list[str]:
        self.tally = Tally(a_job(kind, items, **facts))
        lease = Lease(uuid4(), clock() + self.lease_left, clock() + self.delivery_left, clock)
        log = AttemptLog(self._write_rows, Metrics())
        options = RetryOptions(jitter=0, clock=clock)
        shared = Exports(self._load, Client(), self._provider, log, 12, options)
        try:
            await shared.perform(self.tally, lease)
        finally:
            await log.flush()
        return self.outcomes

    def meets(self, *posts: Answer) -> None:
        self.adapter.posts.extend(posts)

    def finds(self, *finds: Answer) -> None:
        self.adapter.finds.extend(finds)

    @property
    def outcomes(self) -> list[str]:
        return [result["outcome"] for result in self.report["results"]]

    @property
    def report(self) -> dict[str, Any]:
        return self.tally.report(release=False)

    @property
    def failure(self) -> dict[str, Any] | None:
        told: dict[str, Any] | None = self.report["failure"]
        return told

    def _load(self, key: str) -> StubAdapter:
        if key != "stub":
            raise errors.UnknownAdapterError(f"There is no adapter {key!r}.")
        return self.adapter

    def _provider(self, _token: UUID) -> CredentialProvider:
        async def read(integration_id: UUID) -> Any:
            self.reads.append(integration_id)
            return self.secret

        return CredentialProvider(read)

    async def _write_rows(self, rows: Any) -> None:
        self.rows.extend(rows)
