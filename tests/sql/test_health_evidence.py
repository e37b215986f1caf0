"""Health that follows from what exports met, without a check."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker, failed
from tests.sql.health_worker import DEAD, LIMITED, WELL, HealthWorker, health, health_worker, history


@pytest.fixture
def watch(bilag: Bilag) -> HealthWorker:
    return health_worker(bilag)


@pytest.fixture
def passive(bilag: Bilag, org: Organisation, watch: HealthWorker) -> Organisation:
    """One whose check was answered with a rate limit."""
    bilag.advance(minutes=15)
    watch.round(LIMITED)
    return org


def export(org: Organisation, worker: FakeWorker, number: str, **more: Any) -> None:
    """Have one claim exported, or try to."""
    org.claim(number)
    org.request()
    job = worker.claim_one()
    outcome = "unsent" if "failure" in more else "exported"
    worker.settle(job, outcome, **more, release=True)


def test_the_status_of_a_passive_integration_follows_its_exports(
    bilag: Bilag, passive: Organisation, worker: FakeWorker
) -> None:
    export(passive, worker, "C-1")
    row = health(passive)
    assert (row["status"], row["latency_ms"], row["error_message"]) == ("healthy", None, None)
    bilag.advance(minutes=1)
    export(passive, worker, "C-2", failure=failed("transient", message="gateway"))
    row = health(passive)
    assert (row["status"], row["error_message"]) == ("unreachable", "gateway")
    assert history(passive) == ["degraded", "healthy", "unreachable"]


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (failed("timeout"), "unreachable"),
        (failed("permanent", "credential_refused"), "unreachable"),
        (failed("transient", "rate_limited"), "degraded"),
        (failed("permanent", message="no such entity"), "degraded"),
    ],
)
def test_what_a_failed_export_says_of_a_passive_integration(
    passive: Organisation, worker: FakeWorker, failure: dict[str, Any], status: str
) -> None:
    export(passive, worker, "C-1", failure=failure)
    assert health(passive)["status"] == status


def test_many_exports_do_not_drive_the_day_out_of_history(
    bilag: Bilag, passive: Organisation, worker: FakeWorker
) -> None:
    for number in range(6):
        export(passive, worker, f"C-{number}")
        bilag.advance(minutes=5)
    assert history(passive) == ["degraded", "healthy", "healthy"]


def test_a_rate_limit_of_an_export_makes_the_quiet_day_begin_anew(
    bilag: Bilag, passive: Organisation, worker: FakeWorker, watch: HealthWorker
) -> None:
    bilag.advance(hours=23)
    export(passive, worker, "C-1", failure=failed("transient", "rate_limited"))
    bilag.advance(hours=2)
    assert watch.round(WELL) == []
    bilag.advance(hours=22)
    assert watch.round(WELL) == ["xledger"]


def test_exports_do_not_touch_the_health_of_what_is_checked(
    bilag: Bilag, org: Organisation, worker: FakeWorker, watch: HealthWorker
) -> None:
    bilag.advance(minutes=15)
    watch.round(WELL)
    before = health(org)
    export(org, worker, "C-1")
    bilag.advance(minutes=1)
    export(org, worker, "C-2", failure=failed())
    assert health(org) == before


def test_an_export_that_went_through_is_evidence_against_unreachable(
    bilag: Bilag, org: Organisation, worker: FakeWorker, watch: HealthWorker
) -> None:
    for _ in range(4):
        bilag.advance(hours=2)
        watch.round(DEAD)
    bilag.advance(minutes=20)
    assert watch.round(WELL) == []  # its next check is far away
    export(org, worker, "C-1")
    row = health(org)
    assert (row["status"], row["consecutive_failures"]) == ("healthy", 0)
    rows = bilag.database.sql("select resolution from bilag.alerts where kind = 'integration_unreachable'")
    assert rows == [("an export went through",)]
    bilag.advance(minutes=15)
    assert watch.round(WELL) == ["xledger"]


def test_an_open_circuit_and_a_passive_integration_never_wait_for_each_other(
    bilag: Bilag, passive: Organisation, worker: FakeWorker
) -> None:
    """Nothing checks it and nothing is sent to it: the circuit half-opens by time all the same."""
    passive.claim("C-1")
    passive.request()
    for _ in range(6):
        for job in worker.claim():
            worker.settle(job, "unsent", failure=failed("transient"), release=True)
        bilag.advance(minutes=20)
    assert health(passive)["status"] == "unreachable"
    bilag.advance(minutes=40)
    worker.work()
    assert passive.states() == {"C-1": "exported"}
    assert health(passive)["status"] == "healthy"


def test_no_export_waits_for_a_person_who_holds_a_status(
    bilag: Bilag, passive: Organisation, worker: FakeWorker
) -> None:
    passive.claim("C-1")
    passive.request()
    job = worker.claim_one()
    connection = bilag.database.connect(autocommit=False)
    connection.execute("select * from bilag.integration_health_status for update")
    worker.connection.execute("set lock_timeout = '2s'")
    worker.settle(job, release=True)
    assert passive.states() == {"C-1": "exported"}
    assert health(passive)["status"] == "degraded"
    connection.rollback()
    export(passive, worker, "C-2")
    assert health(passive)["status"] == "healthy"
