"""A lost lease stops sending, not reporting: an outcome counts for the attempt that made it, whenever it is told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker, Job, report


def lost(bilag: Bilag, org: Organisation, worker: FakeWorker) -> Job:
    """C-1 was sent by a worker that lost its lease before it reported; it is in doubt, and a minute has passed."""
    org.claim("C-1")
    org.request()
    job = worker.claim_one()
    bilag.advance(seconds=61)
    worker.tick()
    assert org.states() == {"C-1": "in_doubt"}
    return job


def proven_absent(bilag: Bilag, worker: FakeWorker, *, release: bool = False) -> list[Job]:
    """Looked for when nothing can be on its way any more, and not there."""
    bilag.advance(seconds=61)
    return worker.settle(worker.claim_one(), "absent", release=release)


def sent_again(bilag: Bilag, org: Organisation, worker: FakeWorker) -> tuple[Job, Job]:
    """The same, proven absent since, and being sent once more: both jobs."""
    first = lost(bilag, org, worker)
    (second,) = proven_absent(bilag, worker)
    assert second["items"][0]["attempt"] == 2
    return first, second


def alerts(org: Organisation) -> list[str]:
    return [kind for (kind,) in org.database.sql("select kind from bilag.open_alerts order by 1")]


def item(org: Organisation) -> tuple[Any, ...]:
    ((state, attempts, holds),) = org.database.sql("select state, succeeded_attempts, holds from bilag.export_items")
    return state, attempts, holds


@pytest.mark.parametrize(
    ("late", "state"),
    [
        ("exported", "exported"), ("accepted", "accepted"), ("rejected", "rejected"), ("unknown", "in_doubt"),
        ("unsent", "pending"),
    ],
)  # fmt: skip
def test_a_late_outcome_of_the_doubtful_attempt_settles_it(
    bilag: Bilag, org: Organisation, worker: FakeWorker, late: str, state: str
) -> None:
    job = lost(bilag, org, worker)
    assert worker.settle(job, late) == [], "the lane is no longer the reporter's"
    assert item(org)[0] == state
    assert alerts(org) == []
    if state == "pending":
        assert worker.claim_one()["kind"] == "post"


def test_a_late_report_leaves_the_new_holders_lease_alone(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    job = lost(bilag, org, worker)
    look = bilag.worker().claim_one()
    worker.settle(job, "exported")
    assert str(org.database.value("select lease_token from bilag.export_lanes")) == look["token"]
    assert worker.settle(look, "exported") == []
    assert (item(org), alerts(org)) == (("exported", [1], True), [])


def test_a_look_that_comes_back_after_the_late_outcome_changes_nothing(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    job = lost(bilag, org, worker)
    look = worker.claim_one()
    worker.settle(job, "exported")
    for outcome in ("absent", "unknown", "exported", "accepted"):
        worker.tell(report(look, outcome))
        assert (item(org)[0], alerts(org)) == ("exported", []), outcome


def test_a_late_success_while_it_is_proven_absent_and_waits_stops_the_second_sending(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    job = lost(bilag, org, worker)
    proven_absent(bilag, worker, release=True)
    assert org.states() == {"C-1": "pending"}
    worker.settle(job, "exported")
    assert (item(org), alerts(org)) == (("exported", [1], True), [])
    assert worker.claim() == []
    assert org.database.value("select status from bilag.export_runs") == "succeeded"
    assert org.database.value("select count(*) from bilag.export_lines") == 2


def test_two_successes_of_one_claim_raise_doubled(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    first, second = sent_again(bilag, org, worker)
    worker.settle(first, "exported")
    assert (item(org)[0], alerts(org)) == ("sending", []), "one success is known; the other attempt is on its way"
    worker.settle(second, "exported")
    assert item(org) == ("exported", [1, 2], True)
    assert alerts(org) == ["doubled"]


def test_what_a_late_look_of_the_writer_saw_is_no_second_success(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    """It woke up, looked our reference up, and saw what the second attempt had booked."""
    first, second = sent_again(bilag, org, worker)
    worker.settle(second, "exported")
    worker.settle(first, {"outcome": "exported", "seen": True})
    assert alerts(org) == []
    assert item(org) == ("exported", [2], True)


def test_nor_is_it_when_the_second_attempt_reports_afterwards(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    first, second = sent_again(bilag, org, worker)
    worker.settle(first, {"outcome": "exported", "seen": True})
    worker.settle(second, "exported")
    assert alerts(org) == []
    assert item(org) == ("exported", [2], True)


def test_nor_is_what_the_second_ones_look_saw_after_the_first_has_reported(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    first, second = sent_again(bilag, org, worker)
    worker.settle(first, "exported")
    worker.settle(second, {"outcome": "exported", "seen": True})
    assert alerts(org) == []
    assert item(org) == ("exported", [1], True)


def test_nor_is_the_first_success_told_once_more_while_the_second_attempt_is_under_way(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    first, second = sent_again(bilag, org, worker)
    for _ in range(2):
        worker.settle(first, "exported")
    worker.settle(second, {"outcome": "exported", "seen": True})
    assert (item(org), alerts(org)) == (("exported", [1], True), [])


@pytest.mark.parametrize("late", ["rejected", "refused", "unsent"])
def test_a_late_failure_does_not_send_again_what_a_look_saw_on_its_way(
    bilag: Bilag, org: Organisation, worker: FakeWorker, late: str
) -> None:
    job = lost(bilag, org, worker)
    worker.settle(worker.claim_one(), "accepted", release=True)
    worker.settle(job, late)
    assert item(org) == ("accepted", [], True)


def test_a_late_report_that_knows_nothing_begins_no_new_looking(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    job = lost(bilag, org, worker)
    worker.settle(worker.claim_one(), "unknown", release=True)
    before = org.database.sql("select looks, next_look_at, absent_from from bilag.export_items")
    bilag.advance(seconds=3)
    worker.settle(job, "unknown")
    assert org.database.sql("select looks, next_look_at, absent_from from bilag.export_items") == before


def test_what_a_look_saw_before_it_was_sent_again_is_no_success_of_the_attempt(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    job = lost(bilag, org, worker)
    proven_absent(bilag, worker, release=True)
    worker.settle(job, {"outcome": "exported", "seen": True})
    assert (item(org), alerts(org)) == (("exported", [], True), [])
    assert worker.work() == []


def test_nor_is_the_same_success_told_once_more_after_a_look_did_not_find_it(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    job = worker.claim_one()
    worker.settle(job, "accepted", release=True)
    bilag.advance(seconds=61)
    worker.settle(worker.claim_one(), "absent", release=True)
    assert item(org) == ("in_doubt", [1], True)
    worker.settle(job, "accepted")
    assert (item(org), "doubled" in alerts(org)) == (("accepted", [1], True), False)


def test_the_order_of_the_two_successes_makes_no_difference(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    first, second = sent_again(bilag, org, worker)
    worker.settle(second, "exported")
    assert alerts(org) == []
    worker.settle(first, "exported")
    assert item(org) == ("exported", [2, 1], True)
    assert alerts(org) == ["doubled"]


def test_doubled_names_the_reference_to_look_for(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    first, second = sent_again(bilag, org, worker)
    worker.settle(second, "exported")
    worker.settle(first, "exported")
    reference = org.database.value("select reference from bilag.export_items")
    ((message, severity),) = org.database.sql("select message, severity from bilag.open_alerts")
    assert reference in message
    assert severity == "critical"


@pytest.mark.parametrize("outcome", ["rejected", "unsent", "refused"])
def test_a_second_attempt_that_failed_does_not_send_again_what_the_first_one_booked(
    bilag: Bilag, org: Organisation, worker: FakeWorker, outcome: str
) -> None:
    first, second = sent_again(bilag, org, worker)
    worker.settle(first, "exported")
    worker.settle(second, outcome)
    state, attempts, holds = item(org)
    assert (state in ("accepted", "exported"), attempts, holds) == (True, [1], True)


def test_a_second_attempt_in_doubt_after_a_late_success_is_looked_up(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    first, second = sent_again(bilag, org, worker)
    worker.settle(first, "exported")
    worker.settle(second, "unknown")
    assert item(org)[0] == "in_doubt"
    bilag.advance(minutes=2)
    assert worker.claim_one()["kind"] == "find"


@pytest.mark.parametrize("late", ["rejected", "refused", "unsent", "unknown"])
def test_a_late_failure_of_an_earlier_attempt_says_nothing_about_the_current_one(
    bilag: Bilag, org: Organisation, worker: FakeWorker, late: str
) -> None:
    first, second = sent_again(bilag, org, worker)
    worker.settle(first, late)
    assert item(org) == ("sending", [], True)
    worker.settle(second, "exported")
    assert (item(org), alerts(org)) == (("exported", [2], True), [])


@pytest.mark.parametrize("late", ["rejected", "unsent", "unknown", "refused"])
def test_a_late_failure_never_unbooks(bilag: Bilag, org: Organisation, worker: FakeWorker, late: str) -> None:
    first, second = sent_again(bilag, org, worker)
    worker.settle(second, "exported")
    worker.settle(first, late)
    assert (item(org), alerts(org)) == (("exported", [2], True), [])


def test_a_late_success_of_a_claim_that_was_released_books_it_after_all(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    job = lost(bilag, org, worker)
    org.database.sql("select bilag.cancel_export(id) from bilag.export_runs")
    proven_absent(bilag, worker)
    assert item(org) == ("voided", [], False)
    worker.settle(job, "exported")
    assert (item(org), alerts(org)) == (("exported", [1], True), [])
    assert org.preview()["wouldBook"] == 0


def test_a_late_success_of_a_claim_that_another_run_has_booked_since_raises_doubled(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    job = lost(bilag, org, worker)
    org.database.sql("select bilag.cancel_export(id) from bilag.export_runs")
    proven_absent(bilag, worker)
    org.request()
    worker.settle(worker.claim_one(), "exported")
    worker.settle(job, "exported")
    assert alerts(org) == ["doubled"]
    states = org.database.sql("select state, holds from bilag.export_items order by id")
    assert states == [("voided", False), ("exported", True)]


def test_a_late_success_of_a_claim_that_a_later_run_has_not_sent_yet_keeps_it_from_being_sent(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    job = lost(bilag, org, worker)
    org.database.sql("select bilag.cancel_export(id) from bilag.export_runs")
    proven_absent(bilag, worker)
    later = org.request()
    worker.settle(worker.claim_one(), "unsent", release=True)
    assert org.states() == {"C-1": "pending"}
    worker.settle(job, "exported")
    assert worker.work() == []
    told = org.status(later)
    assert (told["status"], told["claims"]["total"]) == ("succeeded", 0), "another run booked its claim"
    states = org.database.sql("select state, holds, reason_code from bilag.export_items order by id")
    assert states == [("exported", True, None), ("voided", False, "booked_meanwhile")]
    assert alerts(org) == []


def test_a_look_that_finds_the_voucher_does_not_make_a_second_success_of_the_first(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    first, second = sent_again(bilag, org, worker)
    worker.settle(first, "exported")
    worker.settle(second, "rejected")
    bilag.advance(minutes=5)
    for look in worker.claim():
        worker.settle(look, "exported")
    assert (item(org), alerts(org)) == (("exported", [1], True), [])


def test_a_late_look_says_nothing_about_an_attempt_that_was_made_since(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    lost(bilag, org, worker)
    old_look = worker.claim_one()
    bilag.advance(seconds=61)
    worker.tick()
    worker.settle(worker.claim_one(), "absent")
    assert item(org)[0] == "sending"
    worker.settle(old_look, "absent")
    assert item(org)[0] == "sending"


def test_a_late_report_of_a_whole_batch_frees_no_second_worker_to_send_it(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.approve(300)
    org.request()
    job = worker.claim_one()
    bilag.advance(seconds=61)
    other = bilag.worker()
    look = other.claim_one()
    worker.settle(job, "exported")
    (rest,) = other.settle(look, "exported")
    assert (rest["kind"], len(rest["items"])) == ("post", 50)
    other.settle(rest)
    assert (set(org.states().values()), alerts(org)) == ({"exported"}, [])
