"""A year, a day at a time: what may be forgotten levels off, and what grows is what has to be kept."""

from __future__ import annotations

from typing import LiteralString

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker
from tests.sql.slots import schedule

DAYS, LEVEL = 365, 250
"""No subject is kept for longer than 180 days; after as many again as it takes to use the room, nothing moves."""
KEPT_FOR_EVER = {
    "bilag.expense_claims", "bilag.expense_claim_lines", "bilag.bufdir_export_audit_log",
    "bilag.export_runs", "bilag.export_items", "bilag.export_lines",
}  # fmt: skip
A_DAY: LiteralString = """
    with logs as (
      insert into bilag.integration_run_logs (correlation_id, org_id, adapter_name, attempt_number, "timestamp")
      select gen_random_uuid(), %(org)s, 'xledger', 1, bilag_internal.now() from generate_series(1, 40)
    ), workers as (
      insert into bilag.worker_heartbeats (
        worker_id, host, pid, version, contract, environment, started_at, last_seen_at)
      select gen_random_uuid(), 'h', 1, '0', 1, 'development', bilag_internal.now(), bilag_internal.now()
      from generate_series(1, 3)
    )
    insert into bilag.alerts (kind, problem_key, message, opened_at, last_seen_at, resolved_at)
    select 'dead_letter', 'k', 'm', bilag_internal.now(), bilag_internal.now(), bilag_internal.now()
    from generate_series(1, 5)"""
LETTERS: LiteralString = """
    with buried as materialized (
      select bilag_internal.bury('{"message": 1}') as id from generate_series(1, 3)
    ) select bilag_internal.take_dead_letter(id) from buried where id %% 2 = 0"""
SIZES: LiteralString = """
    select c.oid::regclass::text, pg_total_relation_size(c.oid), (xpath('/row/n/text()',
      query_to_xml(format('select count(*) as n from %s', c.oid::regclass), false, true, '')))[1]::text::bigint
    from pg_class c
    where c.relkind = 'r' and c.relnamespace::regnamespace::text in ('bilag', 'bilag_internal', 'pgmq')"""


def sizes(bilag: Bilag) -> dict[str, tuple[int, int]]:
    """Rows and bytes of every table, after a vacuum: autovacuum's clock is not the one that tests set."""
    bilag.database.sql("vacuum")
    return {table: (rows, size) for table, size, rows in bilag.database.sql(SIZES)}


def test_nothing_grows_without_bound(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    for n in range(3):
        schedule(bilag.organisation(f"Empty {n}"), run_at="13:00")
    schedule(org, "weekly", run_on_day="5", run_at="13:00")
    seen: dict[int, dict[str, tuple[int, int]]] = {}
    for day in range(1, DAYS + 1):
        bilag.connection.execute(A_DAY, {"org": org.id})
        bilag.connection.execute(LETTERS, {})
        if day % 7 == 0:
            org.approve(1, prefix=f"DAY{day}")
            bilag.database.sql("vacuum")
        bilag.advance(days=1)
        worker.hello()
        worker.tick()
        worker.work()
        bilag.database.sql("select bilag_internal.maintain()")
        if day in (LEVEL, DAYS):
            seen[day] = sizes(bilag)
    grown = {table for table, (rows, _) in seen[DAYS].items() if rows > seen[LEVEL][table][0] + 10}
    assert grown == KEPT_FOR_EVER, seen
    swollen = {table for table, (_, size) in seen[DAYS].items() if size > 1.2 * seen[LEVEL][table][1]}
    assert swollen <= KEPT_FOR_EVER, {table: (seen[LEVEL][table], seen[DAYS][table]) for table in swollen}
