"""A year of schedules in three zones, with crashes, new workers and two days without any tick: each period once.

Seven weeks of few integrations in ``make test``, the year of a thousand in ``make chaos``. The clock is set to each
slot in turn.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from itertools import pairwise
from typing import LiteralString
from zoneinfo import ZoneInfo

import pytest

from dev.postgres import Server, throw_away
from tests.chaos import LONG
from tests.fix_bilag import Bilag
from tests.fix_postgres import Database, make_template
from tests.sql.fake_worker import FakeWorker, Item, Job, report
from tests.sql.test_schedules_zones import instant

INTEGRATIONS, BUSY = (1000, 50) if LONG else (12, 4)
SEED = 20260322
ZONES = ("Europe/Oslo", "America/New_York", "Australia/Lord_Howe")
POLICIES = ("catch_up", "coalesce", "skip", "catch_up")
AT = clock_time(2, 15)
"""In a gap twice a year, or had twice, in each of the zones."""
BEGIN, END = (
    (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC))
    if LONG
    else (datetime(2026, 2, 25, tzinfo=UTC), datetime(2026, 4, 15, tzinfo=UTC))
)
"""The short one has the nights in which New York and Oslo spring forward, and Lord Howe falls back."""
OUTAGE = (datetime(2026, 3, 27, 20, tzinfo=UTC), datetime(2026, 3, 29, 20, tzinfo=UTC))
"""Over the night that Oslo springs forward."""


class Year:
    """The installation, and the vendor's books."""

    def __init__(self, server: Server) -> None:
        self.dice = random.Random(SEED)  # noqa: S311 - a seed is the point
        self.database = Database(server, server.create_database("year", make_template(server)))
        self.database.set_clock(BEGIN)
        self.bilag = Bilag(self.database)
        self.worker = self.bilag.worker()
        self.booked: list[str] = []
        self.ticks = self.crashes = 0
        # To be counted at the end.
        self.database.sql("update bilag.retention set keep_days = null where subject = 'empty_runs'")
        self.organisations = [self.organisation(n) for n in range(INTEGRATIONS)]
        self.database.sql(
            "insert into bilag.export_schedules"
            " (org_id, integration_type, frequency, run_on_day, run_at, missed_run_policy)"
            " select o.id, 'xledger',"
            " case when n %% 10 = 7 then 'weekly' when n %% 10 = 8 then 'monthly' else 'daily' end,"
            " case when n %% 10 = 7 then '7' when n %% 10 = 8 then 'last' end, %s, (%s::text[])[1 + n %% 4]"
            " from (select id, substr(name, 5)::int as n from bilag.organizations) as o",
            AT,
            list(POLICIES),
        )
        self.database.sql("analyze")

    def organisation(self, n: int) -> str:
        org = self.bilag.organisation(f"Lag {n}", time_zone=ZONES[n % 3])
        return str(org.id)

    def approve(self) -> None:
        """A claim of each organisation that has some."""
        self.database.sql(
            "with made as (insert into bilag.expense_claims (org_id, claim_number, status)"
            " select id, gen_random_uuid(), 'approved' from unnest(%s::uuid[]) as o (id) returning id, org_id)"
            " insert into bilag.expense_claim_lines (org_id, claim_id, line_no, category, expense_date, amount)"
            " select org_id, id, 1, 'Taxi', '2026-01-01', 100 from made",
            self.organisations[:BUSY],
        )

    def tick(self) -> None:
        self.worker.hello()
        self.worker.tick()
        self.ticks += 1
        self.drain()

    def drain(self) -> None:
        """Whatever is due, many lanes in a call: of most the run is empty and ends as it is claimed."""
        claim: LiteralString = "select bilag_internal.claim_exports(%s, 500, 60, 150)"
        while got := self.worker.call(claim, self.worker.id):
            jobs = [job for job in got if job is not None]
            while jobs:
                jobs = self.worker.tell(*(report(job, lambda item, job=job: self.book(job, item)) for job in jobs))  # type: ignore[misc]

    def book(self, job: Job, item: Item) -> str:
        reference = item["voucher"]["reference"]
        if job["kind"] == "post":
            self.booked.append(reference)
        return "exported" if reference in self.booked else "absent"

    def crash(self) -> None:
        """The server dies in the middle of the year, and so does the worker."""
        self.database.close()
        self.database.server.restart("immediate")
        self.crashes += 1
        self.bilag = Bilag(self.database)
        self.worker = FakeWorker(self.database)
        self.worker.hello()

    def slots(self) -> Iterator[datetime]:
        """When something is due next, until the year is over."""
        while True:
            due = self.database.value("select min(next_run_at) from bilag.export_schedules where enabled")
            if due >= END:
                return
            yield due


@pytest.fixture
def year() -> Iterator[Year]:
    with throw_away(ours=True) as server:
        made = Year(server)
        yield made
        made.database.close()


def live(year: Year) -> None:
    """Each slot comes, and a tick up to a minute later; twice, now and then."""
    crash_at = {date(2026, month, 10) for month in (3, 4, 7, 10, 11)}
    for slot in year.slots():
        now = max(slot, OUTAGE[1]) if OUTAGE[0] <= slot < OUTAGE[1] else slot
        year.database.set_clock(now + timedelta(seconds=year.dice.randrange(60)))
        if now.date() in crash_at:
            crash_at.discard(now.date())
            year.crash()
        if now.isoweekday() == 1 and year.dice.random() < 0.5:
            year.approve()
        year.tick()
        if year.dice.random() < 0.1:
            year.tick()


def expected(zone: str, frequency: str) -> list[datetime]:
    """The slots of the year by zoneinfo."""
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(-1, 366)]
    wanted = {
        "daily": days,
        "weekly": [day for day in days if day.isoweekday() == 7],
        "monthly": [day for day in days if (day + timedelta(days=1)).day == 1],
    }[frequency]
    return [at for day in wanted if BEGIN < (at := instant(day, AT, ZoneInfo(zone))) < END]


def test_a_year_makes_each_period_once(year: Year, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    live(year)
    year.database.set_clock(END)
    for org in year.organisations[:BUSY]:  # what the last slots of the rarer schedules did not cover
        year.database.sql("select bilag.request_export(%s, 'xledger')", org)
    year.tick()
    runs = year.database.sql(
        "select s.id, o.time_zone, s.frequency, s.missed_run_policy, r.scheduled_for, r.period_start, r.period_end,"
        " r.status from bilag.export_schedules s join bilag.organizations o on o.id = s.org_id"
        " join bilag.export_runs r on r.schedule_id = s.id order by s.id, r.scheduled_for"
    )
    made: dict[tuple[str, ...], list[tuple[datetime, date | None, date]]] = {}
    for schedule, zone, frequency, policy, slot, first, last, status in runs:
        assert status == "succeeded"
        made.setdefault((str(schedule), zone, frequency, policy), []).append((slot.astimezone(UTC), first, last))
    assert len(made) == INTEGRATIONS
    for (_, zone, frequency, policy), found in made.items():
        slots = expected(zone, frequency)
        missed = [slot for slot in slots if OUTAGE[0] <= slot < OUTAGE[1]]
        gone = {"catch_up": [], "coalesce": missed[:-1], "skip": missed}[policy]
        assert [slot for slot, _, _ in found] == [slot for slot in slots if slot not in gone], (zone, policy)
        for (_, _, before), (_, first, _) in pairwise(found):
            assert first == before + timedelta(days=1), (zone, policy)
    assert len(year.booked) == len(set(year.booked)) == year.database.value("select count(*) from bilag.expense_claims")
    with capsys.disabled():
        seconds = time.monotonic() - began
        figures = f"{len(runs)} runs, {len(year.booked)} vouchers, {year.ticks} ticks, {year.crashes} crashes"
        print(f"\na year of {INTEGRATIONS} integrations: {figures}, {seconds:.0f} s")  # noqa: T201 - figures are the point
