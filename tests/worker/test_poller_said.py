"""What a worker says of its jobs: failures under their own correlation id, outcomes once for all that came home."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from tests.virtual_time import VIRTUAL_TIME
from tests.worker.poller_story import poller, until, working
from tests.worker.stub_database import StubDatabase, a_job
from worker import telemetry
from worker.errors import RateLimited
from worker.leases import Lease
from worker.reports import Tally, failure_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return VIRTUAL_TIME


async def test_a_failure_is_said_under_its_correlation_id_and_outcomes_once_for_the_bundle() -> None:
    stream = io.StringIO()
    telemetry.configure("info", "json", stream)

    async def fail(tally: Tally, _lease: Lease) -> None:
        tally.failure = failure_of(RateLimited("slow down", http_status=429), tally.job, attempt=4)

    jobs = [a_job(items=3), a_job()]
    database = StubDatabase(*jobs)
    async with working(poller(database, fail)):
        await until(lambda: len(database.reports) == 2)
    telemetry.configure()
    said = [json.loads(line) for line in stream.getvalue().splitlines()]
    failed = [event for event in said if event["event"] == "job.failed"]
    assert {event["correlation_id"] for event in failed} == {job["correlationId"] for job in jobs}
    assert {event["organization_id"] for event in failed} == {job["orgId"] for job in jobs}
    assert {(event["error_class"], event["http_status"], event["attempt"]) for event in failed} == {
        ("transient", 429, 4)
    }
    (settled,) = [event for event in said if event["event"] == "outcomes.settled"]
    assert (settled["jobs"], settled["unsent"]) == (2, 4)
