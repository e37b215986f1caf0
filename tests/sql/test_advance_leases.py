"""The lease of a job, whether it is claimed or handed out by the call that settled the one before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.sql.fake_worker import FakeWorker


def lease(bilag: Bilag) -> dict[str, Any]:
    """The only lane's, in seconds after noon."""
    ((ends, over, since, worker, deliveries),) = bilag.database.sql(
        "select lease_until, deliver_until, leased_at, leased_by, deliveries from bilag.export_lanes"
    )
    after = {"ends": ends, "delivery ends": over, "leased": since}
    return {**{name: (at - NOON) // timedelta(seconds=1) for name, at in after.items()}, "by": worker, "n": deliveries}


def batches(bilag: Bilag, org: Organisation, count: int) -> None:
    bilag.database.sql("update bilag.integration_types set vouchers_per_batch = 1")
    org.approve(count)
    org.request()


def test_each_job_of_a_lane_has_a_whole_lease_and_a_whole_delivery_of_its_own(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    batches(bilag, org, 3)
    job = worker.claim_one()
    assert lease(bilag) == {"ends": 60, "delivery ends": 150, "leased": 0, "by": worker.id, "n": 1}
    bilag.advance(seconds=40)
    (job,) = worker.settle(job)
    assert lease(bilag) == {"ends": 100, "delivery ends": 190, "leased": 0, "by": worker.id, "n": 0}
    assert (job["leaseSeconds"], job["deliverySeconds"]) == (60, 150)


def test_a_lane_yields_after_a_minute_however_short_its_batches(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    batches(bilag, org, 5)
    job = worker.claim_one()
    for _ in range(2):
        bilag.advance(seconds=25)
        (job,) = worker.settle(job)
    bilag.advance(seconds=25)
    assert worker.settle(job) == []


def test_a_lease_is_as_long_as_the_worker_says_that_holds_it_now(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    batches(bilag, org, 2)
    worker.claim()
    bilag.advance(seconds=61)
    other = bilag.worker()
    (job,) = other.claim(lease=20, delivery=50)
    assert lease(bilag) == {"ends": 81, "delivery ends": 111, "leased": 61, "by": other.id, "n": 2}
    (job,) = other.settle(job)
    assert (job["leaseSeconds"], job["deliverySeconds"]) == (20, 50)
    assert lease(bilag)["ends"] == 81


def test_a_lease_that_is_handed_on_never_outlasts_the_delivery(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    batches(bilag, org, 2)
    (job,) = worker.claim(lease=60, delivery=30)
    worker.settle(job)
    assert lease(bilag)["ends"] == lease(bilag)["delivery ends"] == 30
