"""A worker that is driven by hand: the test says what became of each job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, LiteralString
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from tests.fix_postgres import Connection, Database

Job = dict[str, Any]
Item = dict[str, Any]
Outcome = str | Mapping[str, Any]
Report = dict[str, Any]


def failed(
    error_class: str = "transient",
    reason_code: str | None = None,
    retry_after: float | None = None,
    message: str = "It failed.",
) -> dict[str, Any]:
    """The failure of a job, as a worker reports it."""
    error = {
        "correlationId": str(uuid4()),
        "errorClass": error_class,
        "httpStatus": 503,
        "adapterName": "xledger",
        "attempt": 4,
        "message": message,
        "isRetryable": False,
    }
    return {"error": error, "reasonCode": reason_code, "retryAfterSeconds": retry_after}


def report(
    job: Job,
    outcome: Outcome | Callable[[Item], Outcome] = "exported",
    *,
    failure: Mapping[str, Any] | None = None,
    release: bool = False,
) -> Report:
    """What a worker says of a job: one outcome for all of its items, or one for each."""

    def told(item: Item) -> dict[str, Any]:
        said = outcome(item) if callable(outcome) else outcome
        words = {"outcome": said} if isinstance(said, str) else dict(said)
        return {"id": item["id"], "attempt": item["attempt"], "externalId": f"x{item['id']}", **words}

    named = {key: job[key] for key in ("lane", "token", "runId", "kind", "correlationId")}
    return {**named, "results": [told(item) for item in job["items"]], "failure": failure, "release": release}


class FakeWorker:
    """A worker without an adapter: the test says what became of each job. Acts as the role bilag_worker."""

    def __init__(self, database: Database, connection: Connection | None = None) -> None:
        self.id = uuid4()
        self.connection = connection or database.connect()

    def call(self, query: LiteralString, *params: Any) -> list[Any]:
        """The first column of every row."""
        with self.connection.transaction():
            self.connection.execute("set local role bilag_worker")
            return [row[0] for row in self.connection.execute(query, params).fetchall()]

    def hello(self, *, contract: int = 1, environment: str = "development") -> dict[str, Any]:
        query: LiteralString = "select bilag_internal.hello(%s, 'here', 1, '0', %s, %s)"
        (answer,) = self.call(query, self.id, contract, environment)
        assert isinstance(answer, dict)
        return answer

    def claim(self, slots: int = 10, *, lease: int = 60, delivery: int = 150) -> list[Job]:
        """The jobs of up to so many lanes. A null says that a lane needed no hands and that there may be more."""
        jobs: list[Job] = []
        for _ in range(50):
            got = self.call(
                "select bilag_internal.claim_exports(%s, %s, %s, %s)", self.id, slots - len(jobs), lease, delivery
            )
            jobs += [job for job in got if job is not None]
            if None not in got or len(jobs) >= slots:
                return jobs
        raise AssertionError("lanes need no hands for ever")

    def claim_one(self) -> Job:
        """The only job there is."""
        (job,) = self.claim()
        return job

    def tell(self, *reports: Mapping[str, Any]) -> list[Job]:
        """The next jobs of the lanes that go on. Nobody else may hold one of these lanes: no report is to wait."""
        jobs = self.call("select bilag_internal.settle_exports(%s, %s)", self.id, Jsonb(list(reports)))
        assert all(job["kind"] != "later" for job in jobs)
        return jobs

    def settle(self, job: Job, outcome: Outcome | Callable[[Item], Outcome] = "exported", **more: Any) -> list[Job]:
        """Report a job; returns what is next."""
        return self.tell(report(job, outcome, **more))

    def beat(self, *tokens: str, lease: int = 60) -> list[UUID]:
        return self.call("select bilag_internal.beat(%s, %s::uuid[], %s, 1)", self.id, list(tokens), lease)

    def tick(self) -> dict[str, Any]:
        (did,) = self.call("select bilag_internal.tick()")
        assert isinstance(did, dict)
        return did

    def work(self, decide: Callable[[Job, Item], Outcome] = lambda _job, _item: "exported") -> list[Job]:
        """Claim and settle until nothing is due; returns the jobs that were done."""
        done: list[Job] = []
        while jobs := self.claim():
            while jobs:
                assert len(done) < 2000, "the same work comes again and again"
                done.extend(jobs)
                jobs = self.tell(*(report(job, lambda item, job=job: decide(job, item)) for job in jobs))  # type: ignore[misc]
        return done
