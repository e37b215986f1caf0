"""Slots against Python's zoneinfo: thirty years, ten zones with the oddest clocks, every frequency."""

from __future__ import annotations

import random
from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from psycopg.types.json import Jsonb

from tests.fix_bilag import Bilag
from tests.fix_postgres import Database

FIRST, LAST = date(2000, 1, 1), date(2029, 12, 31)
ZONES = (
    "Europe/Oslo",
    "America/New_York",
    "America/Santiago",  # springs forward at midnight
    "Africa/Casablanca",  # an hour back for Ramadan
    "Asia/Kathmandu",  # 5:45, never changes
    "Australia/Lord_Howe",  # half an hour of summer time
    "Pacific/Apia",  # had no 30 December 2011
    "Pacific/Chatham",  # 12:45 and 13:45
    "America/Caracas",  # half an hour, twice, without summer time
    "Africa/Cairo",  # a change at midnight, abolished and brought back
)
TIMES = (time(0), time(0, 30), time(1, 45), time(2, 30), time(23, 59, 59))
PLANS: tuple[tuple[str, str | None], ...] = (
    ("daily", None), ("weekly", "1"), ("weekly", "7"), ("monthly", "1"), ("monthly", "29"), ("monthly", "31"),
    ("monthly", "last"),
)  # fmt: skip


def days(frequency: str, on: str | None, first: date = FIRST, last: date = LAST) -> Iterator[date]:
    for n in range((last - first).days + 1):
        day = first + timedelta(days=n)
        end = monthrange(day.year, day.month)[1]
        wanted = end if on == "last" else min(int(on or 0), end)
        if frequency == "daily" or (day.isoweekday() == int(on or 0) if frequency == "weekly" else day.day == wanted):
            yield day


def instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """In a gap the time by the clock before it, and of two equal times the later: as Postgres decides."""
    early, late = (datetime.combine(day, at, zone).replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    doubled = early.astimezone(zone).replace(tzinfo=None) == late.astimezone(zone).replace(tzinfo=None)
    return late if doubled else early


@pytest.mark.parametrize("zone", ZONES)
def test_every_slot_of_thirty_years_is_where_zoneinfo_has_it(catalogue: Database, zone: str) -> None:
    for at in TIMES:
        for frequency, on in PLANS:
            got = catalogue.sql(
                "select bilag_internal.slots(%s, %s, %s, %s, %s, %s)", frequency, at, on, zone, FIRST, LAST
            )
            expected = [instant(day, at, ZoneInfo(zone)) for day in days(frequency, on)]
            assert [slot.astimezone(UTC) for (slot,) in got] == expected, (zone, at, frequency, on)


@pytest.mark.parametrize("zone", ZONES)
def test_each_local_day_has_exactly_one_slot(catalogue: Database, zone: str) -> None:
    for at in TIMES:
        got = catalogue.sql("select bilag_internal.slots('daily', %s, null, %s, %s, %s)", at, zone, FIRST, LAST)
        local = sorted({slot.astimezone(ZoneInfo(zone)).date() for (slot,) in got})
        expected = list(days("daily", None))
        if zone == "Pacific/Apia":  # there was no such day; its slot is the next day's
            expected.remove(date(2011, 12, 30))
        assert local == expected, (zone, at)


@pytest.mark.parametrize("zone", ZONES)
def test_the_next_slot_is_the_first_one_after_whatever_moment(bilag: Bilag, zone: str) -> None:
    dice = random.Random(zone)  # noqa: S311  dice, not secrets
    org = bilag.organisation(time_zone=zone)
    for frequency, on in PLANS:
        at = dice.choice(TIMES)
        slots = sorted({instant(day, at, ZoneInfo(zone)) for day in days(frequency, on)})
        moments = [slot + timedelta(seconds=s) for slot in dice.sample(slots[:-40], 60) for s in (-1, 0, 1)]
        moments += [slots[0] + dice.random() * (slots[-40] - slots[0]) for _ in range(60)]
        row = Jsonb({"org_id": str(org.id), "frequency": frequency, "run_at": at.isoformat(), "run_on_day": on})
        got = bilag.database.sql(
            "select bilag_internal.next_slot(jsonb_populate_record(null::bilag.export_schedules, %s), m)"
            " from unnest(%s::timestamptz[]) with ordinality as u (m, n) order by n",
            row,
            moments,
        )
        expected = [slots[bisect_right(slots, moment)] for moment in moments]
        assert [slot.astimezone(UTC) for (slot,) in got] == expected, (zone, at, frequency, on)
