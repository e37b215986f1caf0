"""Periods follow each other without gap or overlap, whatever was missed, disabled, changed or moved between them."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import LiteralString

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker
from tests.sql.slots import next_runs, periods, runs, schedule

CHANGE: LiteralString = "update bilag.export_schedules set run_at = %s, frequency = %s, run_on_day = %s"


def assert_no_gap_and_no_overlap(org: Organisation) -> None:
    found = periods(org)
    for (_, last), (first, _) in itertools.pairwise(found):
        assert first is not None
        assert date.fromisoformat(first) == date.fromisoformat(last) + timedelta(days=1), found


@pytest.mark.parametrize(
    ("policy", "after"),
    [
        ("skip", [("2026-03-03", "2026-03-07")]),
        ("coalesce", [("2026-03-03", "2026-03-06"), ("2026-03-07", "2026-03-07")]),
        ("catch_up", [(f"2026-03-0{n}", f"2026-03-0{n}") for n in range(3, 8)]),
    ],
)
def test_an_outage_leaves_no_gap_and_no_overlap(
    bilag: Bilag, org: Organisation, worker: FakeWorker, policy: str, after: list[tuple[str, str]]
) -> None:
    schedule(org, run_at="13:00", missed_run_policy=policy)
    bilag.advance(hours=1)
    worker.tick()
    bilag.advance(days=4, hours=1)
    worker.tick()
    bilag.advance(hours=23)
    worker.tick()
    assert periods(org) == [(None, "2026-03-02"), *after]


def test_catching_up_is_bounded_and_the_oldest_run_covers_what_came_before(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    schedule(org, run_at="13:00", missed_run_policy="catch_up")
    bilag.advance(hours=1)
    worker.tick()
    bilag.advance(days=100)
    worker.tick()
    assert len(runs(org)) == 32
    assert periods(org)[1] == ("2026-03-03", "2026-05-11")
    assert_no_gap_and_no_overlap(org)


@pytest.mark.parametrize(("frequency", "on"), [("weekly", "3"), ("monthly", "31"), ("monthly", "last")])
def test_catching_up_years_of_rarer_slots_makes_the_last_thirty_one_too(
    bilag: Bilag, org: Organisation, worker: FakeWorker, frequency: str, on: str
) -> None:
    schedule(org, frequency, run_on_day=on, run_at="13:00", missed_run_policy="catch_up")
    bilag.advance(days=40)
    worker.tick()
    made = len(runs(org))
    bilag.advance(days=3000)
    worker.tick()
    assert len(runs(org)) == made + 31
    assert_no_gap_and_no_overlap(org)


def test_what_was_disabled_meanwhile_belongs_to_the_next_period(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    schedule(org, run_at="13:00")
    bilag.advance(hours=1)
    worker.tick()
    bilag.database.sql("update bilag.export_schedules set enabled = false")
    bilag.advance(days=3)
    worker.tick()
    bilag.database.sql("update bilag.export_schedules set enabled = true")
    bilag.advance(days=1)
    worker.tick()
    bilag.database.sql("update bilag.integration_config set enabled = false")
    bilag.advance(days=2)
    worker.tick()
    bilag.database.sql("update bilag.integration_config set enabled = true")
    bilag.advance(days=1)
    worker.tick()
    assert periods(org) == [(None, "2026-03-02"), ("2026-03-03", "2026-03-06"), ("2026-03-07", "2026-03-09")]


def test_a_changed_schedule_goes_on_where_the_last_period_ended(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    schedule(org, run_at="13:00")
    bilag.advance(days=1, hours=1)
    worker.tick()
    bilag.database.sql(CHANGE, "09:00", "weekly", "5")
    bilag.advance(days=10)
    worker.tick()
    bilag.database.sql(CHANGE, "23:30", "monthly", "last")
    bilag.advance(days=20)
    worker.tick()
    assert periods(org) == [(None, "2026-03-03"), ("2026-03-04", "2026-03-13"), ("2026-03-14", "2026-03-31")]


def test_a_second_slot_of_the_same_day_shares_it(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    schedule(org, run_at="13:00")
    bilag.advance(hours=1)
    worker.tick()
    bilag.database.sql(CHANGE, "18:00", "daily", None)
    bilag.advance(hours=6)
    worker.tick()
    assert periods(org) == [(None, "2026-03-02"), ("2026-03-02", "2026-03-02")]


@pytest.mark.parametrize(
    "change",
    [
        "update bilag.export_schedules set run_at = '15:00'",
        "update bilag.export_schedules set frequency = 'weekly', run_on_day = '5'",
        "update bilag.export_schedules set time_zone = 'America/New_York'",
        "update bilag.organizations set time_zone = 'Pacific/Apia'",
    ],
)
def test_a_slot_that_has_come_is_made_even_if_its_schedule_changes_before_the_tick(
    bilag: Bilag, org: Organisation, worker: FakeWorker, change: LiteralString
) -> None:
    schedule(org, run_at="13:00")
    bilag.advance(hours=1, seconds=20)
    bilag.database.sql(change)
    worker.tick()
    assert [slot for slot, *_ in runs(org)] == [datetime(2026, 3, 2, 12, 0, tzinfo=UTC)]
    assert next_runs(org) > [datetime(2026, 3, 2, 12, 0, tzinfo=UTC)]


def test_an_organisation_that_moves_takes_its_schedules_along(bilag: Bilag, org: Organisation) -> None:
    schedule(org, run_at="13:00")
    schedule(org, run_at="13:00", time_zone="Europe/Oslo")
    schedule(org, run_at="13:00", enabled=False)
    bilag.organisation("Other")
    bilag.database.sql("update bilag.organizations set time_zone = 'America/New_York' where id = %s", org.id)
    moved, kept = datetime(2026, 3, 2, 18, 0, tzinfo=UTC), datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    assert sorted(next_runs(org)) == [kept, moved, moved]


def test_a_day_that_a_zone_never_had_gives_one_run(bilag: Bilag, worker: FakeWorker) -> None:
    bilag.database.set_clock(datetime(2011, 12, 29, 20, 0, tzinfo=UTC))  # the 29th, 10:00, in Apia
    org = bilag.organisation("Apia", time_zone="Pacific/Apia")
    schedule(org, run_at="12:00", missed_run_policy="catch_up")
    bilag.advance(days=3)
    worker.tick()
    assert periods(org) == [(None, "2011-12-29"), ("2011-12-30", "2011-12-31"), ("2012-01-01", "2012-01-01")]


def test_a_day_that_a_zone_never_had_does_not_count_among_the_last_thirty_one(bilag: Bilag, worker: FakeWorker) -> None:
    bilag.database.set_clock(datetime(2011, 12, 1, 20, 0, tzinfo=UTC))
    org = bilag.organisation("Apia", time_zone="Pacific/Apia")
    schedule(org, run_at="12:00", missed_run_policy="catch_up")
    bilag.advance(days=40)
    worker.tick()
    assert len(runs(org)) == 31
    assert_no_gap_and_no_overlap(org)


def test_the_period_is_told_in_days_of_the_organisation(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    schedule(org, run_at="06:00", time_zone="Pacific/Auckland")  # 18:00 in Oslo, on the day before
    bilag.advance(days=2)
    worker.tick()
    assert periods(org) == [(None, "2026-03-03")]


def test_a_slot_that_passes_without_a_run_is_remembered_as_passed(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    schedule(org, run_at="13:00", missed_run_policy="skip")
    bilag.advance(days=2, hours=3)
    worker.tick()
    passed = bilag.database.sql("select last_slot_at, covered_until from bilag.export_schedules")
    assert passed == [(datetime(2026, 3, 4, 12, 0, tzinfo=UTC), None)]
