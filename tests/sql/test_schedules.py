"""Schedules: one slot on each of its days, at a local time; one run per slot, whatever the tick does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, LiteralString

import psycopg
import pytest

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused
from tests.sql.sessions import two_sessions
from tests.sql.slots import next_runs, runs, schedule

SLOTS: LiteralString = "select bilag_internal.slots(%s, %s::time, %s, %s, %s, %s)"


def slots(database: Database, frequency: str, at: str, day: str | None, first: date, last: date) -> list[datetime]:
    rows = database.sql(SLOTS, frequency, at, day, "Europe/Oslo", first, last)
    return [slot.astimezone(UTC) for (slot,) in rows]


def test_a_night_that_skips_or_doubles_the_hour_has_one_slot_all_the_same(catalogue: Database) -> None:
    spring = slots(catalogue, "daily", "02:30", None, date(2026, 3, 28), date(2026, 3, 30))
    assert spring == [datetime(2026, 3, d, h, 30, tzinfo=UTC) for d, h in ((28, 1), (29, 1), (30, 0))]
    autumn = slots(catalogue, "daily", "02:30", None, date(2026, 10, 24), date(2026, 10, 26))
    assert len(autumn) == 3
    assert len({slot.date() for slot in autumn}) == 3


def test_a_weekly_slot_is_on_its_weekday(catalogue: Database) -> None:
    mondays = slots(catalogue, "weekly", "06:00", "1", date(2026, 3, 1), date(2026, 3, 31))
    assert [slot.day for slot in mondays] == [2, 9, 16, 23, 30]


@pytest.mark.parametrize(("day", "days"), [("last", [31, 28, 31, 30]), ("31", [31, 28, 31, 30]), ("5", [5, 5, 5, 5])])
def test_a_monthly_day_that_the_month_lacks_is_its_last(catalogue: Database, day: str, days: list[int]) -> None:
    monthly = slots(catalogue, "monthly", "12:00", day, date(2026, 1, 1), date(2026, 4, 30))
    assert [slot.day for slot in monthly] == days


def test_a_new_schedule_starts_with_its_next_slot_in_its_own_zone_or_the_organisations(org: Organisation) -> None:
    schedule(org, run_at="13:00")
    schedule(org, run_at="13:00", time_zone="America/New_York")
    schedule(org, run_at="11:00")
    assert sorted(next_runs(org)) == [
        datetime(2026, 3, 2, 12, 0, tzinfo=UTC), datetime(2026, 3, 2, 18, 0, tzinfo=UTC),
        datetime(2026, 3, 3, 10, 0, tzinfo=UTC),
    ]  # fmt: skip


def test_a_due_slot_makes_one_run_that_exports(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    schedule(org, run_at="13:00")
    org.claim("C-1")
    worker.tick()
    assert runs(org) == []
    bilag.advance(hours=1)
    for _ in range(3):
        worker.tick()
    assert runs(org) == [(NOON + timedelta(hours=1), None, "2026-03-02", "schedule")]
    worker.work()
    assert org.states() == {"C-1": "exported"}
    assert next_runs(org) == [NOON + timedelta(hours=25)]


def test_two_ticks_at_once_make_one_run(database: Database, bilag: Bilag, org: Organisation) -> None:
    schedule(org, run_at="13:00")
    bilag.advance(hours=1)
    with two_sessions(database) as (first, second):
        first.run("select bilag_internal.make_due_runs()")
        other = second.start("select bilag_internal.make_due_runs()")
        assert not second.is_blocked(other)
        assert other.result(20) == [(0,)]
        first.commit()
    assert len(runs(org)) == 1


def test_a_schedule_that_somebody_holds_keeps_no_other_waiting_and_runs_afterwards(
    database: Database, bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    other = bilag.organisation("Other")
    schedule(org, run_at="13:00")
    schedule(other, run_at="13:00")
    bilag.advance(hours=1)
    with two_sessions(database) as (person, tick):
        person.run("select from bilag.export_schedules where org_id = %s for update", org.id)
        tick.run("set local lock_timeout = '5s'")
        tick.run("select bilag_internal.tick()")
        tick.commit()
        assert (len(runs(org)), len(runs(other))) == (0, 1)
        person.commit()
    worker.tick()
    slot = (NOON + timedelta(hours=1), None, "2026-03-02", "schedule")
    assert (runs(org), runs(other)) == ([slot], [slot])


def test_a_slot_has_one_run_by_the_index_alone(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    schedule(org, run_at="13:00")
    bilag.advance(hours=1)
    worker.tick()
    bilag.database.sql("update bilag.export_schedules set next_run_at = %s", NOON + timedelta(hours=1))
    worker.tick()
    assert len(runs(org)) == 1
    with pytest.raises(psycopg.errors.UniqueViolation, match="a_slot_runs_once"):
        bilag.database.sql(
            "insert into bilag.export_runs (org_id, integration_type, integration_id, trigger, scheduled_for,"
            " cutoff_at, enqueued_at, due_at) select org_id, integration_type, integration_id, trigger, scheduled_for,"
            " cutoff_at, enqueued_at, due_at from bilag.export_runs",
        )


@pytest.mark.parametrize(("policy", "days"), [("skip", []), ("coalesce", [5]), ("catch_up", [2, 3, 4, 5])])
def test_after_an_outage_missed_slots_are_skipped_coalesced_or_caught_up(
    bilag: Bilag, org: Organisation, worker: FakeWorker, policy: str, days: list[int]
) -> None:
    schedule(org, run_at="13:00", missed_run_policy=policy)
    bilag.advance(days=3, hours=2)
    worker.tick()
    assert [slot.day for slot, *_ in runs(org)] == days
    assert next_runs(org) == [datetime(2026, 3, 6, 12, 0, tzinfo=UTC)]


def test_a_disabled_schedule_or_integration_makes_no_run(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    schedule(org, run_at="13:00", enabled=False)
    bilag.advance(hours=2)
    worker.tick()
    assert runs(org) == []
    bilag.database.sql("update bilag.export_schedules set enabled = true")
    assert next_runs(org) == [datetime(2026, 3, 3, 12, 0, tzinfo=UTC)], "nothing is caught up"
    bilag.database.sql("update bilag.integration_config set enabled = false")
    bilag.advance(days=1)
    worker.tick()
    assert runs(org) == []


def test_a_changed_schedule_is_planned_anew(org: Organisation) -> None:
    schedule(org, run_at="13:00")
    org.database.sql("update bilag.export_schedules set run_at = '15:00'")
    assert next_runs(org) == [datetime(2026, 3, 2, 14, 0, tzinfo=UTC)]


def test_what_a_schedule_may_say_is_checked(org: Organisation) -> None:
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("is 1 (Monday) to 7, not NULL", {"frequency": "weekly"}),
        ("is 1 (Monday) to 7, not '8'", {"frequency": "weekly", "run_on_day": "8"}),
        ("is 1 (Monday) to 7, not 'monday'", {"frequency": "weekly", "run_on_day": "monday"}),
        ("daily schedule has no run_on_day", {"frequency": "daily", "run_on_day": "1"}),
        ("is 1 to 31, or last, not NULL", {"frequency": "monthly"}),
        ("is 1 to 31, or last, not '32'", {"frequency": "monthly", "run_on_day": "32"}),
        ("is 1 to 31, or last, not 'first'", {"frequency": "monthly", "run_on_day": "first"}),
        ("is daily, weekly or monthly, not 'hourly'", {"frequency": "hourly"}),
        ("is coalesce, skip or catch_up, not 'hope'", {"frequency": "daily", "missed_run_policy": "hope"}),
        ("is a time before 24:00", {"frequency": "daily", "run_at": "24:00"}),
    ]
    for sentence, columns in wrong:
        with refused("KB001", sentence):
            schedule(org, **columns)
    schedule(org, run_at="13:00")
    changes: list[LiteralString] = [
        "frequency = null",
        "run_on_day = '1'",
        "run_at = '24:00'",
        "missed_run_policy = ''",
    ]
    for change in changes:
        with refused("KB001"):
            org.database.sql(f"update bilag.export_schedules set {change}")


def test_drift_is_shown_also_of_a_run_that_has_not_started(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    schedule(org, run_at="13:00")
    org.claim("C-1")
    bilag.advance(hours=1, minutes=7)
    worker.tick()
    drifts = "select drift from bilag.schedule_drift"
    assert bilag.database.sql(drifts) == [(timedelta(minutes=7),)]
    bilag.advance(minutes=3)
    assert bilag.database.sql(drifts) == [(timedelta(minutes=10),)]
    worker.work()
    bilag.advance(hours=1)
    assert bilag.database.sql(drifts) == [(timedelta(minutes=10),)]
