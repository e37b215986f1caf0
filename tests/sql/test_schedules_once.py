"""The same period is never exported twice: whatever the tick, a person or a restore does."""

from __future__ import annotations

from datetime import timedelta

from psycopg.conninfo import conninfo_to_dict

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.fix_postgres import Database, copied
from tests.sql.fake_worker import FakeWorker, Item, Job
from tests.sql.sessions import two_sessions
from tests.sql.slots import runs, schedule

SLOT = NOON + timedelta(hours=1)


class Ledger:
    """The vendor's: it books whatever is posted, as often as it is posted, and is found by its reference."""

    def __init__(self) -> None:
        self.booked: list[str] = []

    def __call__(self, job: Job, item: Item) -> str:
        if job["kind"] == "post":
            self.booked.append(item["voucher"]["reference"])
        return "exported" if item["voucher"]["reference"] in self.booked else "absent"


def test_a_tick_that_repeats_makes_one_run_and_books_once(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    ledger = Ledger()
    schedule(org, run_at="13:00")
    org.approve(3)
    bilag.advance(hours=1)
    for _ in range(5):
        worker.tick()
        worker.work(ledger)
    assert (len(runs(org)), len(ledger.booked)) == (1, 3)


def test_a_tick_that_is_late_makes_the_run_of_the_slot_and_takes_what_was_approved_before_it(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    ledger = Ledger()
    schedule(org, run_at="13:00")
    org.approve(3)
    bilag.advance(hours=2, minutes=40)
    org.approve(2, prefix="LATE")
    worker.tick()
    worker.work(ledger)
    assert ([slot for slot, *_ in runs(org)], len(ledger.booked)) == ([SLOT], 3)
    bilag.advance(days=1)
    worker.tick()
    worker.work(ledger)
    assert len(ledger.booked) == 5


def test_slots_that_are_caught_up_book_each_claim_once(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    ledger = Ledger()
    schedule(org, run_at="13:00", missed_run_policy="catch_up")
    for day in range(4):
        org.approve(2, prefix=f"DAY{day}")
        bilag.advance(days=1)
    for _ in range(2):
        worker.tick()
        worker.work(ledger)
    assert (len(runs(org)), len(ledger.booked)) == (4, 8)
    counts = "select item_count from bilag.export_runs order by scheduled_for"
    assert bilag.database.sql(counts) == [(2,)] * 4, "each period has its own claims"


def test_a_person_who_asks_while_the_slot_comes_books_nothing_twice(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    ledger = Ledger()
    schedule(org, run_at="13:00")
    org.approve(3)
    bilag.advance(hours=1)
    with two_sessions(bilag.database) as (person, tick):
        person.run("select bilag.request_export(%s, 'xledger')", org.id)
        ticked = tick.start("select bilag_internal.tick()")
        assert not tick.is_blocked(ticked)
        tick.commit()
        person.commit()
    for _ in range(3):
        worker.tick()
        worker.work(ledger)
    ended = bilag.database.sql("select trigger, status from bilag.export_runs order by trigger")
    assert ended == [("request", "succeeded"), ("schedule", "succeeded")]
    assert len(ledger.booked) == 3


def test_a_person_who_asks_while_the_scheduled_run_is_sent_books_nothing_twice(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    ledger = Ledger()
    schedule(org, run_at="13:00")
    org.approve(3)
    bilag.advance(hours=1)
    worker.tick()
    job = worker.claim_one()
    org.request()
    worker.settle(job, lambda item: ledger(job, item))
    worker.work(ledger)
    assert len(ledger.booked) == 3


def test_two_schedules_of_one_integration_share_a_slot_that_both_have(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    schedule(org, run_at="13:00")
    schedule(org, "weekly", run_on_day="1", run_at="07:00", time_zone="America/New_York")  # the same moment
    bilag.advance(hours=1)
    assert worker.tick()["made"] == 1
    assert [slot for slot, *_ in runs(org)] == [SLOT]
    assert bilag.database.sql("select distinct last_slot_at, covered_until from bilag.export_schedules") == [
        (SLOT, SLOT)
    ]


def test_a_database_restored_to_before_the_slot_runs_it_again_and_finds_what_is_booked(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    ledger = Ledger()
    schedule(org, run_at="13:00")
    org.approve(3)
    worker.tick()
    source = bilag.database
    name = str(conninfo_to_dict(source.dsn)["dbname"])
    source.close()
    with copied(source.server, name) as backup:
        at_one(source, ledger)
        assert len(ledger.booked) == 3
        at_one(backup, ledger)
        again = backup.sql("select scheduled_for, status from bilag.export_runs")
        assert again == [(SLOT, "succeeded")]
        assert len(ledger.booked) == 3, "found, not sent"
        assert backup.value("select count(*) from bilag.export_items where state = 'exported'") == 3


def at_one(database: Database, ledger: Ledger) -> None:
    """The slot comes, and what is due is done."""
    database.set_clock(SLOT)
    worker = FakeWorker(database)
    worker.hello()
    worker.tick()
    worker.work(ledger)
