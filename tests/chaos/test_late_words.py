"""Words that come too late, absences believed too early: each rule about them by itself, on the set clock."""

from __future__ import annotations

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker, Job, report


@pytest.fixture
def overtaken(bilag: Bilag, org: Organisation, worker: FakeWorker) -> Job:
    """The first worker's batch of one, whose lease has ended while it may still be writing."""
    org.approve(1)
    org.request()
    job = worker.claim_one()
    bilag.advance(seconds=61)
    return job


def until_sent_again(bilag: Bilag, other: FakeWorker) -> Job:
    """The successor looks as often as it is told to, finds nothing, and is given the voucher to send."""
    for _ in range(10):
        for job in other.claim():
            if job["kind"] == "post":
                return job
            for following in other.settle(job, "absent"):
                assert following["kind"] == "post"
                return following
        bilag.advance(seconds=30)
    raise AssertionError("it was never sent again")


def test_finding_nothing_right_after_the_lease_proves_nothing_for_the_write_may_have_begun_late(
    bilag: Bilag, org: Organisation, worker: FakeWorker, overtaken: Job
) -> None:
    (look,) = bilag.worker().claim()
    assert look["kind"] == "find"
    assert not worker.settle(look, "absent")
    assert org.states() == {"C-0001": "in_doubt"}


@pytest.mark.parametrize("word", ["unsent", "rejected", "refused", "unknown"])
def test_a_late_word_about_an_overtaken_attempt_changes_nothing_of_the_one_under_way(
    bilag: Bilag, org: Organisation, worker: FakeWorker, overtaken: Job, word: str
) -> None:
    other = bilag.worker()
    again = until_sent_again(bilag, other)
    assert again["items"][0]["attempt"] == 2
    assert not worker.tell(report(overtaken, word))
    assert org.states() == {"C-0001": "sending"}
    assert not other.settle(again, "exported", release=True)
    assert org.states() == {"C-0001": "exported"}


def test_a_late_look_that_found_nothing_does_not_release_what_is_being_sent(
    bilag: Bilag, org: Organisation, worker: FakeWorker, overtaken: Job
) -> None:
    bilag.advance(seconds=1)
    slow = bilag.worker()
    (look,) = slow.claim()
    bilag.advance(seconds=61)
    other = bilag.worker()
    again = until_sent_again(bilag, other)
    assert not slow.tell(report(look, "absent"))
    assert org.states() == {"C-0001": "sending"}
    assert not other.settle(again, "exported", release=True)
    assert org.states() == {"C-0001": "exported"}


def test_success_that_is_told_late_by_both_attempts_raises_the_alert(
    bilag: Bilag, org: Organisation, worker: FakeWorker, overtaken: Job
) -> None:
    other = bilag.worker()
    again = until_sent_again(bilag, other)
    other.settle(again, "exported", release=True)
    worker.tell(report(overtaken, "exported"))
    assert bilag.database.sql("select kind from bilag.alerts where resolved_at is null") == [("doubled",)]
