"""Batches: whole vouchers within the system's limits, in parts when a refusal names no voucher."""

from __future__ import annotations

from typing import Any

from tests.fix_bilag import Bilag, Line, Organisation
from tests.sql.fake_worker import FakeWorker, Item, Job, failed, report


def numbers(job: Job) -> list[str]:
    return sorted(item["voucher"]["claimNumber"] for item in job["items"])


def test_a_batch_has_no_more_vouchers_than_the_system_takes(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    bilag.database.sql("update bilag.integration_types set vouchers_per_batch = 7")
    org.approve(20)
    org.request()
    assert [len(job["items"]) for job in worker.work()] == [7, 7, 6]


def test_a_batch_has_no_more_lines_than_the_system_takes_and_only_whole_vouchers(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    bilag.database.sql("update bilag.integration_types set lines_per_batch = 10")
    for n in range(6):
        org.claim(f"C-{n}", *[Line("Taxi", "1")] * 3)
    org.claim("C-9", *[Line("Taxi", "1")] * 9)
    org.request()
    done = worker.work()
    assert [len(job["items"]) for job in done] == [2, 2, 2, 1]
    assert all(sum(len(item["voucher"]["lines"]) for item in job["items"]) <= 10 for job in done)


def test_every_voucher_is_sent_once_and_batches_follow_the_order_of_approval(
    org: Organisation, worker: FakeWorker
) -> None:
    org.approve(600)
    org.request()
    sent = [number for job in worker.work() for number in numbers(job)]
    assert sent == [f"C-{n:04}" for n in range(1, 601)]


def refuse(job: Job, bad: set[str]) -> dict[str, Any]:
    """The system refuses a batch with a bad voucher in it, without naming it."""
    refused = job["kind"] == "post" and bad & set(numbers(job))
    return report(job, "refused" if refused else "exported")


class Counting:
    """Exports everything but the bad vouchers; counts calls as the vendor sees them: a refusal costs a look, too."""

    def __init__(self, worker: FakeWorker, bad: set[str]) -> None:
        self.calls = 0
        self.posts: list[Job] = []
        while jobs := worker.claim():
            while jobs:
                (job,) = jobs
                assert len(self.posts) < 200, "it halves for ever"
                self.posts.append(job)
                told = refuse(job, bad)
                self.calls += 2 if told["results"][0]["outcome"] == "refused" else 1
                jobs = worker.tell(told)


# The first and the last of each batch of 250, the middle from both sides, and the last ones of all.
POSITIONS = [1, 2, 63, 125, 126, 187, 249, 250, 251, 375, 376, 438, 499, 500]


def test_one_bad_voucher_of_five_hundred_stands_alone_after_at_most_twenty_calls(
    bilag: Bilag, worker: FakeWorker
) -> None:
    for position in POSITIONS:
        org = bilag.organisation(str(position))
        org.approve(500)
        run = org.request()
        bad = f"C-{position:04}"
        done = Counting(worker, {bad})
        states = org.states()
        assert states.pop(bad) == "rejected"
        assert set(states.values()) == {"exported"}
        assert len(states) == 499
        assert done.calls <= 20, position
        assert org.status(run)["status"] == "partially_succeeded"


def test_the_bad_one_is_found_wherever_it_stands(bilag: Bilag, worker: FakeWorker) -> None:
    for count in (1, 2, 3, 7, 8, 9):
        for position in range(1, count + 1):
            org = bilag.organisation(f"{position} of {count}")
            org.approve(count)
            org.request()
            bad = f"C-{position:04}"
            Counting(worker, {bad})
            states = org.states()
            assert states.pop(bad) == "rejected"
            assert set(states.values()) <= {"exported"}


def test_several_bad_vouchers_are_all_found_and_nothing_else_is_rejected(org: Organisation, worker: FakeWorker) -> None:
    org.approve(100)
    org.request()
    bad = {f"C-{n:04}" for n in (1, 2, 50, 51, 100)}
    Counting(worker, bad)
    assert {number for number, state in org.states().items() if state == "rejected"} == bad
    assert list(org.states().values()).count("exported") == 95


def test_when_all_are_bad_all_are_rejected(org: Organisation, worker: FakeWorker) -> None:
    org.approve(20)
    run = org.request()
    Counting(worker, {f"C-{n:04}" for n in range(1, 21)})
    assert set(org.states().values()) == {"rejected"}
    assert org.status(run)["status"] == "failed"


def test_a_refused_batch_is_never_rejected_as_a_whole(org: Organisation, worker: FakeWorker) -> None:
    org.approve(2)
    org.request()
    (part,) = worker.settle(worker.claim_one(), "refused")
    assert org.states() == {"C-0001": "sending", "C-0002": "pending"}
    assert numbers(part) == ["C-0001"]


def test_a_part_that_passes_leaves_the_culprit_in_the_rest_which_is_divided_unsent(
    org: Organisation, worker: FakeWorker
) -> None:
    org.approve(8)
    org.request()
    (part,) = worker.settle(worker.claim_one(), "refused")
    (following,) = worker.settle(part, "exported")
    rest = sorted(number for number, state in org.states().items() if state in ("sending", "pending"))
    assert numbers(part) + rest == [f"C-{n:04}" for n in range(1, 9)]
    assert set(numbers(following)) < set(rest)


def test_a_part_that_is_refused_acquits_the_rest(org: Organisation, worker: FakeWorker) -> None:
    org.approve(8)
    org.request()
    (part,) = worker.settle(worker.claim_one(), "refused")
    worker.settle(part, "refused")
    suspects = org.database.sql(
        "select c.claim_number from bilag.export_items i join bilag.expense_claims c on c.id = i.claim_id"
        " where i.suspect order by 1"
    )
    assert [number for (number,) in suspects] == numbers(part)


def test_suspects_that_meet_an_outage_are_still_suspects_afterwards(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.approve(8)
    org.request()
    (part,) = worker.settle(worker.claim_one(), "refused")
    worker.settle(part, "unsent", failure=failed())
    bilag.advance(minutes=1)

    def told(item: Item) -> str:
        return "refused" if item["voucher"]["claimNumber"] == "C-0007" else "exported"

    while jobs := worker.claim():
        while jobs:
            (job,) = jobs
            jobs = worker.settle(job, "refused" if any(told(i) == "refused" for i in job["items"]) else "exported")
    states = org.states()
    assert states.pop("C-0007") == "rejected"
    assert set(states.values()) == {"exported"}


def test_vouchers_that_are_named_are_rejected_and_the_rest_goes_again_together(
    org: Organisation, worker: FakeWorker
) -> None:
    org.approve(10)
    org.request()
    bad = "C-0004"
    (rest,) = worker.settle(
        worker.claim_one(), lambda item: "rejected" if item["voucher"]["claimNumber"] == bad else "unsent"
    )
    assert len(rest["items"]) == 9
    assert worker.settle(rest) == []
    assert org.states()[bad] == "rejected"


def vehicle_of(job: dict[str, Any]) -> str:
    (vehicle,) = {item["vehicle"] for item in job["items"]}
    return str(vehicle)


def test_the_same_vehicle_carries_the_whole_batch_and_another_the_next(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.approve(300)
    org.request()
    first = worker.claim_one()
    (second,) = worker.settle(first)
    vehicles = bilag.database.sql("select vehicle, count(*) from bilag.export_items group by 1 order by 2")
    assert vehicles == [(vehicle_of(second), 50), (vehicle_of(first), 250)]
