"""A year, a day at a time: what may be forgotten levels off, and what grows is what has to be kept."""

from __future__ import annotations

from typing import LiteralString

from tests.fix_bilag import Bilag, Organisation
from tests.sql.health_worker import DEAD, WELL, HealthWorker, health_worker
from tests.sql.hooks import SECRET, SET, URL, settle, take, told
from tests.sql.slots import schedule

DAYS, LEVEL = 365, 250
"""No subject is kept for longer than 180 days; after as many again as it takes to use the room, nothing moves."""
KEPT_FOR_EVER = {
    "bilag.expense_claims", "bilag.expense_claim_lines", "bilag.bufdir_export_audit_log",
    "bilag.export_runs", "bilag.export_items", "bilag.export_lines", "bilag.reconciliations",
}  # fmt: skip
"""What grows in the year that is lived here."""

BOUNDS = {
    "kept for ever: bookkeeping, and what keeps a claim from being booked twice": {
        *KEPT_FOR_EVER, "bilag.claim_exclusions", "bilag.export_files", "bilag.reconciliation_findings",
    },
    "a row per thing that people set up": {
        "bilag.account_mappings", "bilag.export_lanes", "bilag.export_schedules", "bilag.integration_config",
        "bilag.integration_health_status", "bilag.organization_members", "bilag.organizations", "bilag.webhook",
        "bilag_internal.audit_heads", "bilag_internal.health_rounds",
    },
    "ours, written by migrate": {
        "bilag.alert_kinds", "bilag.installation", "bilag.integration_types", "bilag.reasons", "bilag.retention",
        "bilag.retry_schedule", "bilag_internal.migrations", "bilag_internal.verb_objects", "bilag_internal.verbs",
        "pgmq.meta", "pgmq.notify_insert_throttle", "pgmq.topic_bindings",
    },
    "pruned by bilag.retention": {
        "bilag.alerts", "bilag.integration_run_logs", "bilag.webhook_deliveries", "bilag.worker_heartbeats",
        "pgmq.a_bilag_dead_letters", "pgmq.q_bilag_dead_letters", "pgmq.q_bilag_webhooks",
    },
    "pruned as it is written": {"bilag.health_check_history", "bilag_internal.health_requests"},
    "empty when nothing is under way": {
        "bilag_internal.alerts_waiting", "bilag_internal.anonymizing", "bilag_internal.audit_waiting",
        "bilag_internal.clock", "bilag_internal.file_pieces", "bilag_internal.files_begun",
        "bilag_internal.health_pruning", "pgmq.q_bilag_exports", "pgmq.q_bilag_health_checks",
    },
    "never written: what leaves these queues is deleted, not archived": {
        "pgmq.a_bilag_exports", "pgmq.a_bilag_health_checks", "pgmq.a_bilag_webhooks",
    },
}  # fmt: skip
"""Why each table does not grow without bound, or has to. A new table has to say so here."""

ASK: LiteralString = """
    select bilag.request_reconciliation(%s, 'xledger', (bilag_internal.now() - interval '31 days')::date,
      bilag_internal.now()::date)"""
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
    where c.relkind in ('r', 'p') and c.relnamespace::regnamespace::text in ('bilag', 'bilag_internal', 'pgmq')"""


def sizes(bilag: Bilag) -> dict[str, tuple[int, int]]:
    """Rows and bytes of every table, after a vacuum: autovacuum's clock is not the one that tests set."""
    bilag.database.sql("vacuum")
    return {table: (rows, size) for table, size, rows in bilag.database.sql(SIZES)}


def test_every_table_has_a_bound_or_a_reason_to_have_none(bilag: Bilag) -> None:
    told = [table for tables in BOUNDS.values() for table in tables]
    assert len(told) == len(set(told))
    ours = set(sizes(bilag))
    assert ours - {table for table in ours if table.startswith("pgmq.") and "bilag" not in table} <= set(told)
    assert {table for table in told if not table.startswith("pgmq.")} <= ours


def test_nothing_grows_without_bound(bilag: Bilag, org: Organisation) -> None:
    worker = health_worker(bilag)
    bilag.database.sql(SET, URL, SECRET, None)
    for n in range(3):
        schedule(bilag.organisation(f"Empty {n}"), run_at="13:00")
    schedule(org, "weekly", run_on_day="5", run_at="13:00")
    seen = {0: sizes(bilag)}
    for day in range(1, DAYS + 1):
        bilag.connection.execute(A_DAY, {"org": org.id})
        bilag.connection.execute(LETTERS, {})
        if day % 7 == 0:
            org.approve(1, prefix=f"DAY{day}")
            bilag.database.sql(ASK, org.id)
            bilag.database.sql("select bilag.request_health_check(%s)", org.id)
            bilag.database.sql("vacuum")
        bilag.advance(days=1)
        worker.hello()
        worker.round(WELL if day % 3 else DEAD)
        worker.work()
        deliver(worker)
        bilag.database.sql("select bilag_internal.maintain()")
        if day in (LEVEL, DAYS):
            seen[day] = sizes(bilag)
    grown = {table for table, (rows, _) in seen[DAYS].items() if rows > seen[LEVEL][table][0] + 10}
    assert grown == KEPT_FOR_EVER, seen
    swollen = {table for table, (_, size) in seen[DAYS].items() if size > 1.2 * seen[LEVEL][table][1]}
    assert swollen <= KEPT_FOR_EVER, {table: (seen[LEVEL][table], seen[DAYS][table]) for table in swollen}
    written = {table for table, (_, size) in seen[DAYS].items() if size > seen[0][table][1]}
    assert written >= BOUNDS["pruned by bilag.retention"] | BOUNDS["pruned as it is written"]


def deliver(worker: HealthWorker) -> None:
    """A day's hundred events for the webhook, of which every other one arrives."""
    events = take(worker, 100)
    settle(worker, *(told(e, ("delivered", "failed")[n % 2], message="no") for n, e in enumerate(events)))
