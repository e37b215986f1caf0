"""Many schedules that are due at once: one statement, and soon done."""

from __future__ import annotations

import time

from tests.fix_bilag import NOON, Bilag
from tests.sql.fake_worker import FakeWorker

MANY = 10_000
LIMIT_SECONDS = 60.0
"""It takes 1.5 s on an idle machine of two cores; the limit is for a busy one."""


def many(bilag: Bilag, count: int) -> None:
    """Organisations in three zones, each with a daily schedule of 13:00 in Oslo."""
    bilag.database.sql(
        "with o as (insert into bilag.organizations (name, time_zone) select 'Lag ' || n,"
        " (array['Europe/Oslo', 'America/New_York', 'Australia/Lord_Howe'])[1 + n %% 3]"
        " from generate_series(1, %s) as n returning id), c as (insert into bilag.integration_config"
        " (org_id, integration_type, settings) select id, 'xledger', '{\"settlement_account\": \"2910\"}' from o"
        " returning org_id) insert into bilag.export_schedules (org_id, integration_type, frequency, run_at, time_zone)"
        " select org_id, 'xledger', 'daily', '13:00', 'Europe/Oslo' from c",
        count,
    )
    bilag.database.sql("analyze")


def test_ten_thousand_schedules_that_are_due_at_once_are_one_tick(bilag: Bilag, worker: FakeWorker) -> None:
    many(bilag, MANY)
    bilag.advance(hours=1)
    began = time.monotonic()
    assert worker.tick()["made"] == MANY
    took = time.monotonic() - began
    assert took < LIMIT_SECONDS
    assert bilag.database.sql(
        "select scheduled_for, count(*), count(distinct org_id) from bilag.export_runs group by 1"
    ) == [(NOON.replace(hour=12), MANY, MANY)]
    assert bilag.database.value("select count(*) from pgmq.q_bilag_exports") == MANY
    assert worker.tick()["made"] == 0


def test_a_tick_with_nothing_due_reads_no_schedule(bilag: Bilag, worker: FakeWorker) -> None:
    many(bilag, 2000)
    rows = bilag.database.sql(
        "explain select s.id from bilag.export_schedules s where s.enabled and s.next_run_at <= bilag_internal.now()"
    )
    assert any("export_schedules_due" in line for (line,) in rows), rows
