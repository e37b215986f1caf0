"""Attempt rows are fire and forget: bounded, batched, flushed at the end, and never in the way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.virtual_time import VIRTUAL_TIME
from tests.worker.stub_database import a_job
from worker import telemetry
from worker.attempt_log import AttemptLog, Row, row_of
from worker.database import Outage, Refusal
from worker.errors import Executed, Unavailable
from worker.metrics import Metrics
from worker.retry import Attempt

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return VIRTUAL_TIME


class Sink:
    """Where rows go; ``errors`` come first."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.batches: list[list[Row]] = []

    async def __call__(self, rows: Sequence[Row]) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.batches.append(list(rows))


def a_row(number: int = 1) -> Row:
    return {"adapter_name": "stub", "error_class": None, "attempt_number": number}


async def test_rows_ride_in_one_batch_each_second() -> None:
    sink = Sink()
    log = AttemptLog(sink, Metrics())
    flushing = asyncio.create_task(log.run())
    for number in range(5):
        log.record(a_row(number))
    assert sink.batches == []
    await asyncio.sleep(1.5)
    assert [len(batch) for batch in sink.batches] == [5]
    flushing.cancel()


async def test_nothing_is_sent_while_there_is_nothing_to_send() -> None:
    sink = Sink()
    flushing = asyncio.create_task(AttemptLog(sink, Metrics()).run())
    await asyncio.sleep(10)
    assert sink.batches == []
    flushing.cancel()


async def test_during_an_outage_rows_wait_in_their_order() -> None:
    sink = Sink(Outage("gone"))
    log = AttemptLog(sink, Metrics())
    log.record(a_row(1))
    await log.flush()
    log.record(a_row(2))
    await log.flush()
    assert [[row["attempt_number"] for row in batch] for batch in sink.batches] == [[1, 2]]


async def test_when_too_many_wait_the_oldest_go_and_are_counted() -> None:
    metrics = Metrics()
    sink = Sink(Outage("gone"))
    log = AttemptLog(sink, metrics, most=3)
    for number in range(5):
        log.record(a_row(number))
    await log.flush()
    log.record(a_row(9))
    await log.flush()
    assert [row["attempt_number"] for row in sink.batches[0]] == [3, 4, 9]
    assert metrics.dropped_rows.values == {(): 3}


class Choosy(Sink):
    """Refuses every batch that holds one of these rows."""

    def __init__(self, *refused: int) -> None:
        super().__init__()
        self.refused, self.calls = set(refused), 0

    async def __call__(self, rows: Sequence[Row]) -> None:
        self.calls += 1
        if self.refused & {row["attempt_number"] for row in rows}:
            raise Refusal("no such column")
        await super().__call__(rows)

    @property
    def written(self) -> list[int]:
        return [row["attempt_number"] for batch in self.batches for row in batch]


async def test_a_row_that_the_database_refuses_is_let_go_and_costs_no_other() -> None:
    metrics = Metrics()
    sink = Choosy(7, 33)
    log = AttemptLog(sink, metrics)
    for number in range(100):
        log.record(a_row(number))
    await log.flush()
    assert sink.written == [number for number in range(100) if number not in (7, 33)]
    assert log.waiting == 0
    assert metrics.dropped_rows.values == {(): 2}


async def test_a_database_that_refuses_every_row_is_not_asked_about_each() -> None:
    metrics = Metrics()
    sink = Choosy(*range(1000))
    log = AttemptLog(sink, metrics)
    for number in range(1000):
        log.record(a_row(number))
    await log.flush()
    assert (sink.written, log.waiting, metrics.dropped_rows.values) == ([], 0, {(): 1000})
    assert sink.calls < 20


async def test_the_farewell_flushes_what_waits_and_does_not_wait_for_ever() -> None:
    sink = Sink()
    log = AttemptLog(sink, Metrics())
    log.record(a_row())
    await log.farewell()
    assert [len(batch) for batch in sink.batches] == [1]

    async def hang(_rows: Sequence[Row]) -> None:
        await asyncio.sleep(3600)

    deaf = AttemptLog(hang, Metrics())
    deaf.record(a_row())
    began = asyncio.get_running_loop().time()
    await deaf.farewell()
    assert asyncio.get_running_loop().time() - began < 5


async def test_a_flush_that_is_under_way_when_the_worker_ends_is_waited_for() -> None:
    written: list[Row] = []

    async def slow(rows: Sequence[Row]) -> None:
        await asyncio.sleep(1)
        written.extend(rows)

    log = AttemptLog(slow, Metrics())
    flushing = asyncio.create_task(log.run())
    log.record(a_row(1))
    await asyncio.sleep(1.5)
    log.record(a_row(2))
    flushing.cancel()
    await asyncio.gather(flushing, return_exceptions=True)
    await log.farewell()
    assert [row["attempt_number"] for row in written] == [1, 2]


async def test_what_the_farewell_had_no_time_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, int]] = []
    monkeypatch.setattr(telemetry, "warning", lambda event, rows: said.append((event, rows)))

    async def hang(_rows: Sequence[Row]) -> None:
        await asyncio.sleep(3600)

    log = AttemptLog(hang, Metrics())
    for number in range(3):
        log.record(a_row(number))
    await log.farewell()
    assert said == [("attempts.lost", 3)]


def test_a_row_of_a_failed_attempt_says_what_failed_and_no_total() -> None:
    job = a_job()
    error = Unavailable("Authorization: Bearer abcdefghijkl", http_status=503, executed=Executed.NO)
    row = row_of(job, "post", Attempt(2, error, 0.25))
    assert row["correlation_id"] == job["correlationId"]
    assert (row["org_id"], row["run_id"]) == (job["orgId"], job["runId"])
    assert (row["attempt_number"], row["total_attempts"], row["duration_ms"]) == (2, None, 250)
    assert (row["error_class"], row["http_status"]) == ("transient", 503)
    assert "abcdefghijkl" not in row["error_message"]


def test_a_row_of_a_success_says_how_many_attempts_it_took() -> None:
    row = row_of(a_job(), "post", Attempt(3, None, 0.1))
    assert (row["attempt_number"], row["total_attempts"], row["error_class"]) == (3, 3, None)
