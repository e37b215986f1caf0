"""Old rows go, a little at a time; what decides or is bookkeeping stays; one table's trouble stops no other."""

from __future__ import annotations

from typing import Any, LiteralString

import pytest

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker
from tests.sql.sessions import two_sessions
from tests.sql.slots import schedule

LOGS: LiteralString = (
    'insert into bilag.integration_run_logs (correlation_id, org_id, adapter_name, attempt_number, "timestamp")'
    " select gen_random_uuid(), %s, 'xledger', 1, bilag_internal.now() - interval '1 day' * %s"
    " from generate_series(1, %s)"
)


def maintain(bilag: Bilag, query: LiteralString = "select bilag_internal.maintain()") -> dict[str, Any]:
    return dict(bilag.database.value(query))


def count(bilag: Bilag, table: str) -> int:
    return int(bilag.database.connect().execute(f"select count(*) from {table}".encode()).fetchall()[0][0])


def rule(bilag: Bilag, subject: str) -> tuple[Any, ...]:
    (row,) = bilag.database.sql(
        "select deleted, sweeping, error is null, swept_at from bilag.retention where subject = %s", subject
    )
    return row


def test_what_is_older_than_its_days_goes_and_what_is_younger_stays(bilag: Bilag, org: Organisation) -> None:
    bilag.database.sql(LOGS, org.id, 91, 3)
    bilag.database.sql(LOGS, org.id, 89, 2)
    assert maintain(bilag) == {"swept": 8, "leftOver": []}
    assert count(bilag, "bilag.integration_run_logs") == 2
    assert rule(bilag, "integration_run_logs") == (3, False, True, NOON)


def test_the_owner_says_how_many_days_and_null_is_for_ever(bilag: Bilag, org: Organisation) -> None:
    bilag.database.sql(LOGS, org.id, 10, 3)
    bilag.database.sql("update bilag.retention set keep_days = null where subject = 'integration_run_logs'")
    bilag.advance(days=4000)
    maintain(bilag)
    assert count(bilag, "bilag.integration_run_logs") == 3
    bilag.database.sql("update bilag.retention set keep_days = 5 where subject = 'integration_run_logs'")
    maintain(bilag)
    assert count(bilag, "bilag.integration_run_logs") == 0


def test_resolved_alerts_and_gone_workers_go_and_open_alerts_stay(bilag: Bilag, worker: FakeWorker) -> None:
    for key in ("open", "resolved"):
        bilag.database.sql("select bilag_internal.raise_alert('dead_letter', %s, null, null, 'words')", key)
    bilag.database.sql("select bilag_internal.resolve_alert('dead_letter', 'resolved', 'mended')")
    bilag.advance(days=181)
    maintain(bilag)
    assert bilag.database.sql("select problem_key from bilag.alerts where kind = 'dead_letter'") == [("open",)]
    assert count(bilag, "bilag.worker_heartbeats") == 0


def test_of_runs_only_scheduled_ones_that_found_nothing_go(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    schedule(org, run_at="13:00")
    for prepare in (lambda: None, lambda: org.approve(1), lambda: org.request(key="k"), org.request):
        prepare()
        bilag.advance(days=1)
        worker.tick()
        worker.work()
    assert count(bilag, "bilag.export_runs") == 6
    bilag.database.sql("update bilag.export_schedules set enabled = false")
    bilag.advance(days=181)
    maintain(bilag)
    kept = bilag.database.sql("select trigger, item_count from bilag.export_runs order by trigger, item_count")
    assert kept == [("request", 0), ("request", 0), ("schedule", 1)]
    assert bilag.database.value("select bilag.verify_audit(%s)", org.id) is None


def test_dead_letters_go_decided_or_not(bilag: Bilag) -> None:
    for n in range(2):
        bilag.database.sql("""select bilag_internal.bury(jsonb_build_object('message', %s::int))""", n)
    bilag.database.sql("select bilag.discard(1, 'garbage')")
    bilag.advance(days=91)
    maintain(bilag)
    assert (count(bilag, "pgmq.a_bilag_dead_letters"), count(bilag, "pgmq.q_bilag_dead_letters")) == (0, 1)
    bilag.advance(days=90)
    maintain(bilag)
    assert count(bilag, "pgmq.q_bilag_dead_letters") == 0


def test_events_that_no_receiver_takes_go(bilag: Bilag) -> None:
    bilag.database.sql(
        "insert into bilag.webhook_deliveries (event_id, message, due_at, taken_at)"
        " select gen_random_uuid(), '{}', bilag_internal.now(), bilag_internal.now() - interval '1 day' * d"
        " from unnest(array[29, 31]) as d"
    )
    bilag.database.sql(
        "select bilag_internal.send_webhooks(array(select jsonb_build_object('at', bilag_internal.now()"
        " - interval '1 day' * d) from unnest(array[29, 31]) as d))"
    )
    maintain(bilag)
    assert (count(bilag, "bilag.webhook_deliveries"), count(bilag, "pgmq.q_bilag_webhooks")) == (1, 1)


def test_what_is_not_done_in_its_time_goes_on_with_the_ticks(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    bilag.database.sql(LOGS, org.id, 91, 5000)
    done = maintain(bilag, "select bilag_internal.maintain(0, batch => 10)")
    assert "integration_run_logs" in done["leftOver"]
    assert count(bilag, "bilag.integration_run_logs") == 4990
    for _ in range(20):
        worker.tick()
    assert count(bilag, "bilag.integration_run_logs") == 0
    assert rule(bilag, "integration_run_logs") == (5000, False, True, NOON)


def test_where_pg_cron_does_not_start_it_a_tick_a_day_does(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    worker.tick()
    bilag.database.sql(LOGS, org.id, 91, 5)
    bilag.advance(hours=24)
    worker.tick()
    assert count(bilag, "bilag.integration_run_logs") == 5, "pg_cron may be a little late"
    bilag.advance(hours=2)
    worker.tick()
    assert count(bilag, "bilag.integration_run_logs") == 0


def test_rows_and_tables_that_somebody_holds_are_left_for_later(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    bilag.database.sql(LOGS, org.id, 91, 5)
    with two_sessions(bilag.database) as (person, machine):
        person.run("select from bilag.integration_run_logs order by id limit 1 for update")
        maintaining = machine.start("select bilag_internal.maintain()")
        assert not machine.is_blocked(maintaining)
        machine.commit()
        assert count(bilag, "bilag.integration_run_logs") == 1
        person.run("lock table bilag.integration_run_logs in access exclusive mode")
        assert maintain(bilag)["leftOver"] == ["integration_run_logs"], "after 200 ms"
        assert maintain(bilag, "select bilag_internal.maintain(5, go_on => true)")["swept"] == 1
        person.commit()
    assert bilag.database.sql("select 1 from bilag.open_alerts") == []
    worker.tick()
    assert count(bilag, "bilag.integration_run_logs") == 0


def test_two_sweeps_at_once_are_one(bilag: Bilag) -> None:
    with two_sessions(bilag.database) as (first, second):
        first.run("select bilag_internal.maintain()")
        other = second.start("select bilag_internal.maintain()")
        assert not second.is_blocked(other)
        assert other.result(20) == [({"skipped": True},)]


@pytest.mark.parametrize("code", ["P0001", "KB006", "23503", "XX000"])
def test_the_trouble_of_one_table_stops_no_other_and_is_told_until_it_is_over(
    bilag: Bilag, org: Organisation, worker: FakeWorker, code: str
) -> None:
    bilag.database.sql(LOGS, org.id, 91, 5)
    bilag.database.connect().execute(
        "create function public.refuse() returns trigger language plpgsql as"
        f" $$ begin raise exception 'not these' using errcode = '{code}'; end $$;"
        "create trigger refuse before delete on bilag.integration_run_logs"
        " for each statement execute function public.refuse()".encode()
    )
    bilag.advance(days=40)
    assert maintain(bilag)["leftOver"] == ["integration_run_logs"]
    assert rule(bilag, "worker_heartbeats")[0] == 1
    told = "select a.message from bilag.open_alerts a where a.kind = 'maintenance_failed'"
    assert bilag.database.sql(told) == [("Old rows of integration_run_logs were not deleted: not these",)]
    worker.tick()
    bilag.database.sql("drop trigger refuse on bilag.integration_run_logs")
    maintain(bilag)
    assert bilag.database.sql(told) == []
    assert count(bilag, "bilag.integration_run_logs") == 0


def test_every_subject_can_be_swept_and_one_that_is_unknown_is_told(bilag: Bilag) -> None:
    maintain(bilag)
    assert bilag.database.sql("select subject from bilag.retention where error is not null or swept_at is null") == []
    bilag.database.sql("insert into bilag.retention (subject, keep_days, what) values ('dreams', 1, 'Dreams.')")
    assert maintain(bilag)["leftOver"] == ["dreams"]


OFTEN_REWRITTEN = {
    "bilag": {
        "alerts", "expense_claims", "export_items", "export_lanes", "export_runs", "export_schedules",
        "health_check_history", "installation", "integration_health_status", "integration_run_logs", "reconciliations",
        "webhook", "webhook_deliveries", "worker_heartbeats",
    },
    "bilag_internal": {
        "alerts_waiting", "audit_heads", "audit_waiting", "file_pieces", "health_pruning", "health_requests",
        "health_rounds",
    },
    "pgmq": {"q_bilag_exports", "q_bilag_health_checks", "q_bilag_webhooks"},
}  # fmt: skip
UPDATED_IN_PLACE = {
    "alerts", "audit_heads", "export_items", "export_lanes", "export_runs", "export_schedules", "health_rounds",
    "installation", "integration_health_status", "reconciliations", "webhook", "webhook_deliveries",
    "worker_heartbeats",
}  # fmt: skip


def test_hot_tables_are_vacuumed_before_their_dead_rows_are_many(catalogue: Database) -> None:
    tuned = catalogue.sql(
        "select c.relnamespace::regnamespace::text, c.relname from pg_class c"
        " where c.relkind = 'r' and c.reloptions::text like '%autovacuum_vacuum_scale%'"
    )
    assert set(tuned) == {(schema, table) for schema, tables in OFTEN_REWRITTEN.items() for table in tables}


def test_rows_that_change_often_have_room_for_their_next_version(catalogue: Database) -> None:
    roomy = catalogue.sql("select c.relname from pg_class c where c.reloptions::text like '%fillfactor%'")
    assert {name for (name,) in roomy} >= UPDATED_IN_PLACE
