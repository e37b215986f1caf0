"""Histories of health checks: made, and counted."""

from __future__ import annotations

from uuid import UUID

from tests.fix_bilag import Bilag
from tests.fix_postgres import Database

INSERT = (
    "insert into bilag.health_check_history (org_id, integration_type, status, latency_ms, checked_at)"
    " select o, 'xledger', 'healthy', n, timestamptz '2026-03-01 00:00+00' + n * interval '1 minute'"
    " from unnest(%s::uuid[]) with ordinality as u (o, place), generate_series(%s::int, %s::int) as n order by place, n"
)


def kept(database: Database) -> dict[UUID, int]:
    return dict(database.sql("select org_id, count(*) from bilag.health_check_history group by org_id"))


def many(bilag: Bilag, count: int) -> list[UUID]:
    """Organisations with an integration each, in two statements."""
    bilag.database.sql(
        "insert into bilag.organizations (name) select 'Org ' || n from generate_series(1, %s) as n", count
    )
    bilag.database.sql(
        "insert into bilag.integration_config (org_id, integration_type, settings)"
        " select id, 'xledger', '{\"settlement_account\": \"2910\"}' from bilag.organizations"
    )
    return [org for (org,) in bilag.database.sql("select id from bilag.organizations order by id")]
