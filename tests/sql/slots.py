"""What the tests of schedules share: a schedule, and the runs that it made."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from tests.fix_bilag import Organisation


def schedule(org: Organisation, frequency: str = "daily", **columns: Any) -> UUID:
    return org.insert("export_schedules", {"integration_type": "xledger", "frequency": frequency, **columns})


def next_runs(org: Organisation) -> list[datetime]:
    return [at for (at,) in org.database.sql("select next_run_at from bilag.export_schedules order by created_at, id")]


def runs(org: Organisation) -> list[tuple[Any, ...]]:
    """Slot, first day, last day and trigger of each scheduled run of the organisation."""
    return org.database.sql(
        "select scheduled_for, period_start::text, period_end::text, trigger from bilag.export_runs"
        " where org_id = %s and scheduled_for is not null order by scheduled_for",
        org.id,
    )


def periods(org: Organisation) -> list[tuple[str | None, str]]:
    """The days of each scheduled run, both inclusive."""
    return [(first, last) for _, first, last, _ in runs(org)]
