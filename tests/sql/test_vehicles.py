"""What carries a voucher at the vendor: another one in each attempt, its own for each item of a look-up, and nobody's
once a restore has forgotten it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.fix_bilag import Bilag, Organisation
from tests.fix_postgres import copied
from tests.sql.fake_worker import FakeWorker, Item, Job, Outcome

ABSENT = {"outcome": "absent", "revoked": True}


def vehicles(job: Job) -> set[str | None]:
    return {item["vehicle"] for item in job["items"]}


def numbered(item: Item) -> str:
    return str(item["voucher"]["claimNumber"])


def batches_of(bilag: Bilag, vouchers: int) -> None:
    bilag.database.sql("update bilag.integration_types set vouchers_per_batch = %s", vouchers)


def states(bilag: Bilag) -> list[Any]:
    return [state for (state,) in bilag.database.sql("select state from bilag.export_items order by position")]


def test_every_attempt_takes_a_new_vehicle_of_ten_letters(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    seen: list[str | None] = []
    for _ in range(6):
        job = worker.claim_one()
        assert job["kind"] == "post"
        seen += vehicles(job)
        worker.settle(job, "unknown")
        bilag.advance(seconds=5)
        worker.settle(worker.claim_one(), ABSENT, release=True)
    assert len(set(seen)) == 6
    assert all(re.fullmatch("[A-Z]{10}", str(vehicle)) for vehicle in seen)


def test_a_second_try_of_the_same_delivery_after_unsent_has_a_new_one_too(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    first = worker.claim_one()
    (second,) = worker.settle(first, "unsent")
    assert vehicles(first).isdisjoint(vehicles(second))


def test_a_look_up_names_the_vehicle_of_each_item(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    batches_of(bilag, 2)
    org.approve(4)
    org.request()
    first = worker.claim_one()
    (second,) = worker.settle(first, "unknown")
    worker.settle(second, "unknown")
    batches_of(bilag, 10)
    bilag.advance(seconds=5)
    look = worker.claim_one()
    carried = {numbered(item): item["vehicle"] for item in look["items"]}
    assert carried == {numbered(item): item["vehicle"] for item in first["items"] + second["items"]}
    assert len(set(carried.values())) == 2


@pytest.mark.parametrize(
    ("mate", "revocable"), [("accepted", False), ("exported", True), ("unknown", True), ("rejected", True)]
)
def test_a_vehicle_in_which_something_accepted_waits_may_not_be_taken_away(
    bilag: Bilag, org: Organisation, worker: FakeWorker, mate: str, *, revocable: bool
) -> None:
    org.approve(2)
    org.request()
    job = worker.claim_one()
    worker.settle(job, lambda item: "unknown" if numbered(item) == "C-0001" else mate)
    bilag.advance(seconds=5)
    look = worker.claim_one()
    assert look["kind"] == "find"
    (item,) = [item for item in look["items"] if numbered(item) == "C-0001"]
    assert item["revocable"] is revocable


def test_what_is_accepted_in_another_vehicle_hinders_nothing(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    batches_of(bilag, 1)
    org.approve(2)
    org.request()
    (second,) = worker.settle(worker.claim_one(), "accepted")
    worker.settle(second, "unknown")
    bilag.advance(seconds=5)
    look = worker.claim_one()
    assert [(numbered(item), item["revocable"]) for item in look["items"]] == [("C-0002", True)]


def test_an_absence_that_was_made_sure_of_counts_at_once(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "unknown")
    bilag.advance(seconds=5)
    worker.settle(worker.claim_one(), "absent", release=True)
    assert states(bilag) == ["in_doubt"]
    bilag.database.sql("update bilag.export_items set next_look_at = bilag_internal.now()")
    bilag.database.sql("select bilag_internal.wake_lanes(array(select integration_id from bilag.export_lanes))")
    worker.settle(worker.claim_one(), ABSENT, release=True)
    assert states(bilag) == ["pending"]


def test_but_not_under_another_credential_and_not_of_a_lost_lease(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "unknown")
    bilag.advance(seconds=5)
    late = worker.claim_one()
    bilag.advance(seconds=61)
    other = bilag.worker().claim_one()
    worker.settle(late, ABSENT)
    assert states(bilag) == ["in_doubt"]
    org.database.sql("select bilag.set_integration_credential(%s, 'xledger', 'another')", org.id)
    worker.settle(other, ABSENT, release=True)
    assert states(bilag) == ["in_doubt"]


def test_after_a_restore_no_vehicle_is_known_and_none_can_be_made_sure_of(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    batches_of(bilag, 1)
    org.approve(3)
    org.request()
    (second,) = worker.settle(worker.claim_one(), "accepted")
    worker.settle(second, "unknown", release=True)
    bilag.database.sql("select bilag_internal.recover(bilag_internal.now())")
    assert states(bilag) == ["accepted", "in_doubt", "in_doubt"]
    assert bilag.database.sql("select distinct vehicle from bilag.export_items") == [(None,)]
    batches_of(bilag, 10)
    bilag.advance(seconds=5)
    look = worker.claim_one()
    assert (look["kind"], vehicles(look)) == ("find", {None})


class Journals:
    """A vendor whose vouchers stand in journals until an accountant posts those; a look closes the one it knows of."""

    def __init__(self) -> None:
        self.standing: dict[str, set[str]] = {}
        self.booked = Counter[str]()

    def answer(self, job: Job, item: Item) -> Outcome:
        reference, journal = item["voucher"]["reference"], item["vehicle"]
        if job["kind"] == "post":
            self.standing.setdefault(journal, set()).add(reference)
            return "accepted"
        if job["kind"] == "find" and journal is not None:
            self.standing.pop(journal, None)
        asked = self.standing.values() if journal is None else [self.standing.get(journal, set())]
        if any(reference in journal for journal in asked):
            return "accepted" if job["kind"] == "confirm" else "unknown"
        if reference in self.booked:
            return "exported"
        return {"outcome": "absent", "revoked": job["kind"] == "find" and journal is not None}

    def post_all(self) -> None:
        for references in self.standing.values():
            self.booked.update(references)
        self.standing.clear()


@contextmanager
def forgotten(bilag: Bilag) -> Iterator[Bilag]:
    """The database as it is now, restored once what is inside has happened in the one that is lost."""
    source = bilag.database
    clock = source.value("select bilag_internal.now()")
    source.close()
    with copied(source.server, str(conninfo_to_dict(source.dsn)["dbname"])) as backup:
        backup.set_clock(clock)
        yield Bilag(backup)


def looked_at(bilag: Bilag, vendor: Journals) -> None:
    """Hours go by, and whatever is due is done."""
    worker = bilag.worker()
    for _ in range(5):
        bilag.advance(minutes=40)
        worker.tick()
        worker.work(vendor.answer)


def test_what_was_sent_again_in_a_forgotten_life_is_not_sent_once_more_while_it_stands_in_another_vehicle(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    vendor = Journals()
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "unknown")
    bilag.advance(seconds=5)
    worker.settle(worker.claim_one(), "unknown", release=True)
    with forgotten(bilag) as backup:
        looked_at(bilag, vendor)
        assert len(vendor.standing) == 1, "it was found absent, and sent again"
        looked_at(backup, vendor)
        assert states(backup) == ["in_doubt"]
        vendor.post_all()
        looked_at(backup, vendor)
        assert (states(backup), list(vendor.booked.values())) == (["exported"], [1])


def test_what_waited_in_a_vehicle_has_not_vanished_because_it_waits_in_another_one_since(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    vendor = Journals()
    claim = org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "accepted", release=True)
    with forgotten(bilag) as backup:
        looked_at(bilag, vendor)
        bilag.database.sql("select bilag.resolve_in_doubt(%s, 'xledger', 'not_booked')", claim)
        looked_at(bilag, vendor)
        org.request()
        looked_at(bilag, vendor)
        assert len(vendor.standing) == 1, "it vanished, was released by a person, and went again"
        looked_at(backup, vendor)
        assert states(backup) == ["accepted"]
        vendor.post_all()
        looked_at(backup, vendor)
        assert (states(backup), list(vendor.booked.values())) == (["exported"], [1])
