"""Looks of a lane: the longest wait first, one kind at a time, its own vouchers only, and its run stays what it is."""

from __future__ import annotations

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker, Job, failed


def numbers(job: Job) -> list[str]:
    return [item["voucher"]["claimNumber"] for item in job["items"]]


def doubtful(bilag: Bilag, org: Organisation, worker: FakeWorker, count: int) -> None:
    """So many vouchers in doubt, each to be looked at in as many minutes as its number says."""
    org.approve(count)
    org.request()
    worker.settle(worker.claim_one(), "unknown")
    bilag.database.sql(
        "update bilag.export_items set next_look_at = bilag_internal.now() + voucher_number * interval '1 min'"
    )


def test_what_waits_longest_is_looked_at_first_and_nothing_before_its_time(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    doubtful(bilag, org, worker, 5)
    bilag.database.sql("update bilag.integration_types set vouchers_per_batch = 2")
    bilag.advance(minutes=3)
    (second,) = worker.settle(first := worker.claim_one(), "unknown")
    assert (numbers(first), numbers(second)) == (["C-0001", "C-0002"], ["C-0003"])
    assert worker.settle(second, "unknown") == []


def test_the_items_of_a_job_stand_in_the_order_of_their_numbers(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    doubtful(bilag, org, worker, 5)
    bilag.database.sql("update bilag.export_items set next_look_at = next_look_at - voucher_number * interval '2 min'")
    bilag.advance(minutes=3)
    assert numbers(worker.claim_one()) == [f"C-{n:04}" for n in range(1, 6)]


def test_a_look_of_one_lane_leaves_the_vouchers_of_the_others_alone(bilag: Bilag, worker: FakeWorker) -> None:
    first, second = bilag.organisation("One"), bilag.organisation("Two")
    for org in (first, second):
        org.claim("C-1")
        org.request()
    for job in worker.claim():
        worker.settle(job, "unknown")
    bilag.advance(seconds=5)
    (job,) = worker.claim(1)
    looked = bilag.database.sql("select org_id::text from bilag.export_items where looked_at is not null")
    assert looked == [(job["orgId"],)]
    held = bilag.database.sql("select org_id::text from bilag.export_lanes where lease_until is not null")
    assert held == [(job["orgId"],)]


def test_a_look_does_not_give_the_lane_to_the_next_run_while_its_own_waits_to_try_again(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    bilag.database.sql("update bilag.integration_types set vouchers_per_batch = 1")
    org.approve(2)
    waits = org.request()
    worker.settle(worker.claim_one(), "unknown", failure=failed())
    org.claim("later")
    org.request()
    bilag.advance(seconds=10)
    look = worker.claim_one()
    assert (look["kind"], look["runId"]) == ("find", None), "what is looked at may be another run's"
    assert worker.settle(look, "exported") == [], "the system is down: the next run would meet the same"
    bilag.advance(minutes=5)
    assert worker.claim_one()["runId"] == str(waits)


def test_a_look_for_an_ended_run_does_not_give_the_lane_to_one_that_only_waits_for_answers(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    ended = org.request()
    worker.settle(worker.claim_one(), "unknown")
    org.database.sql("select bilag.cancel_export(%s)", ended)
    org.claim("C-2")
    org.request()
    worker.settle(worker.claim_one(), "accepted")
    bilag.database.sql(
        "update bilag.export_items set next_look_at = next_look_at + interval '1 h' where state = 'accepted'"
    )
    bilag.advance(seconds=5)
    look = worker.claim_one()
    assert numbers(look) == ["C-1"]
    worker.settle(look, "unknown")
    org.claim("C-3")
    following = org.request()
    assert worker.claim_one()["runId"] == str(following), "else the lane would be held up for as long as C-2 is"


def test_a_look_that_is_due_in_one_lane_holds_up_no_other(bilag: Bilag, worker: FakeWorker) -> None:
    asleep, awake = bilag.organisation("One"), bilag.organisation("Two")
    asleep.claim("C-1")
    asleep.request()
    worker.settle(worker.claim_one(), "unknown")
    bilag.database.sql("select bilag.pause_integration(%s, 'xledger', 'holiday')", asleep.id)
    bilag.advance(seconds=5)
    awake.claim("C-1")
    awake.request()
    assert worker.claim_one()["orgId"] == str(awake.id)


def test_each_look_has_a_correlation_id_of_its_own(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    bilag.database.sql("update bilag.integration_types set vouchers_per_batch = 1")
    org.approve(2)
    org.request()
    posts = [worker.claim_one()]
    posts += worker.settle(posts[0], "unknown", release=True) or worker.claim()
    running = bilag.database.value("select correlation_id::text from bilag.export_runs")
    assert posts[1]["correlationId"] == running
    worker.settle(posts[1], "unsent", failure=failed())
    looks = []
    for seconds in (20, 65):
        bilag.advance(seconds=seconds)
        looks.append(worker.claim_one())
        worker.settle(looks[-1], "unknown")
    assert [look["kind"] for look in looks] == ["find", "find"]
    assert len({job["correlationId"] for job in posts + looks}) == 4


def test_a_look_notes_the_ledger_of_its_own_integration(bilag: Bilag, worker: FakeWorker) -> None:
    orgs = {code: bilag.organisation(code, settings={"owner_code": code}) for code in ("11", "22")}
    for org in orgs.values():
        org.claim("C-1")
        org.request()
    for job in worker.claim():
        worker.settle(job, "unknown")
    bilag.database.sql("update bilag.export_items set ledger_key = null")
    bilag.advance(seconds=5)
    worker.claim()
    noted = bilag.database.sql(
        "select o.name, i.ledger_key from bilag.export_items i join bilag.organizations o on o.id = i.org_id order by 1"
    )
    assert [(code, code in key) for code, key in noted] == [("11", True), ("22", True)]
