"""What a DBA looks at with psql, and what of it a member is shown."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.fix_bilag import Bilag, Line, Organisation
from tests.sql.fake_worker import FakeWorker, failed

FOR_MEMBERS = {
    "overview", "claim_exports", "runs_in_progress", "stuck", "open_alerts", "attempts", "schedule_drift",
    "health_trend",
}  # fmt: skip


def views(bilag: Bilag) -> list[str]:
    rows = bilag.database.sql(
        "select c.relname from pg_class c where c.relkind = 'v' and c.relnamespace = 'bilag'::regnamespace order by 1"
    )
    return [name for (name,) in rows]


def busy(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    """Something of everything: booked, rejected, in doubt, waiting, paused, dead, alarming."""
    org.claim("booked")
    org.claim("rejected", Line("Sauna", "1"))
    org.request()
    worker.work()
    org.claim("doubtful")
    org.request()
    worker.settle(worker.claim_one(), "unknown", failure=failed())
    bilag.database.sql("""select pgmq.send('bilag_exports', '{"x": 1}')""")
    worker.claim()
    bilag.database.sql(
        "insert into bilag.integration_run_logs (correlation_id, org_id, adapter_name, attempt_number, error_class)"
        " values (gen_random_uuid(), %s, 'xledger', 1, 'timeout')",
        org.id,
    )
    bilag.database.sql("select bilag.pause_integration(%s, 'xledger', 'stocktaking')", org.id)
    bilag.database.sql("select bilag_internal.raise_alert('run_failed', 'a', %s, 'xledger', 'words')", org.id)


def test_the_views_of_the_public_surface_are_there(bilag: Bilag) -> None:
    named = FOR_MEMBERS | {"queue_status", "dead_letters", "workers"}
    assert named <= set(views(bilag))


def test_every_view_is_readable_by_owner_and_service(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    busy(bilag, org, worker)
    for view in views(bilag):
        query = f"select * from bilag.{view}".encode()
        rows = len(org.connection.execute(query).fetchall())
        with bilag.database.as_user(uuid4(), "service_role") as connection:
            assert len(connection.execute(query).fetchall()) == rows, view


def test_members_see_their_own_rows_and_strangers_none(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    busy(bilag, org, worker)
    finance, stranger = org.member(), bilag.organisation("Other").member()
    for view in views(bilag):
        query = f"select count(*) from bilag.{view} v where to_jsonb(v)::text like '%{org.id}%'".encode()
        if view not in FOR_MEMBERS:
            with bilag.database.as_user(finance) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(query)
            continue
        with bilag.database.as_user(finance) as connection:
            seen = connection.execute(query).fetchone()
        with bilag.database.as_user(stranger) as connection:
            assert connection.execute(query).fetchone() == (0,), view
        assert seen is not None
        assert seen[0] > 0 or view == "schedule_drift", view


def test_a_member_without_finance_sees_progress_and_no_claims(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    busy(bilag, org, worker)
    with bilag.database.as_user(org.member("member")) as connection:
        counts = connection.execute("select exported, rejected, in_doubt from bilag.overview").fetchall()
        assert counts == [(1, 1, 1)]
        assert connection.execute("select total, done from bilag.runs_in_progress").fetchall() == [(1, 0)]
        assert connection.execute("select count(*) from bilag.claim_exports").fetchone() == (0,)


def test_observers_watch_operations_without_names_and_money(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    busy(bilag, org, worker)
    with bilag.database.as_user(uuid4(), "bilag_observer") as connection:
        for view in set(views(bilag)) - {"claim_exports"}:
            watched = connection.execute(f"select * from bilag.{view}".encode()).fetchall()
            assert len(watched) == len(org.connection.execute(f"select * from bilag.{view}".encode()).fetchall()), view
    for table in ("expense_claims", "expense_claim_lines", "export_items", "export_lines", "claim_exports"):
        with (
            bilag.database.as_user(uuid4(), "bilag_observer") as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(f"select * from bilag.{table}".encode())


def overview(org: Organisation) -> dict[str, Any]:
    names = "status, pending, sending, accepted, exported, rejected, in_doubt"
    ((row),) = org.connection.execute(f"select {names} from bilag.overview where org_id = %s".encode(), [org.id])
    return dict(zip(names.split(", "), row, strict=True))


def test_the_overview_says_what_each_integration_does(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    assert overview(org)["status"] == "idle"
    org.claim("C-1")
    org.request()
    assert overview(org)["status"] == "due"
    job = worker.claim_one()
    assert (overview(org)["status"], overview(org)["sending"]) == ("exporting", 1)
    worker.settle(job, "unsent", failure=failed())
    assert (overview(org)["status"], overview(org)["pending"]) == ("waiting: retry_later", 1)
    bilag.database.sql("select bilag.pause_integration(%s, 'xledger', 'stocktaking')", org.id)
    assert overview(org)["status"] == "paused: stocktaking"
    bilag.database.sql("update bilag.integration_config set enabled = false")
    assert overview(org)["status"] == "disabled"


def test_the_overview_counts_a_claim_that_was_tried_again_once(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1", Line("Sauna", "1"))
    org.request()
    worker.work()
    assert overview(org)["rejected"] == 1
    org.map("Sauna", "7199")
    org.request()
    worker.work()
    assert (overview(org)["rejected"], overview(org)["exported"]) == (0, 1)


def test_a_run_in_progress_has_a_bar(org: Organisation, worker: FakeWorker) -> None:
    org.approve(500)
    org.request()
    worker.settle(worker.claim_one())
    ((total, done, bar),) = org.database.sql("select total, done, progress from bilag.runs_in_progress")
    assert (total, done, bar) == (500, 250, "█" * 10 + "·" * 10)


def test_workers_are_alive_until_they_are_silent_for_two_minutes(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    worker.claim()
    assert bilag.database.sql("select status, lanes from bilag.workers") == [("alive", 1)]
    bilag.advance(minutes=3)
    assert bilag.database.sql("select status, lanes from bilag.workers") == [("gone", 0)]


def test_the_queue_status_tells_messages_and_lanes(org: Organisation) -> None:
    org.claim("C-1")
    org.request()
    rows = org.database.sql("select queue, messages, lanes_due, lanes_leased from bilag.queue_status order by 1")
    assert [(queue, n) for queue, n, _, _ in rows] == [
        ("bilag_dead_letters", 0), ("bilag_exports", 1), ("bilag_health_checks", 0),
        ("bilag_webhooks", 0),
    ]  # fmt: skip
    assert rows[1][2:] == (1, 0)


def test_what_a_number_of_the_overview_counts_is_said_beside_it(bilag: Bilag) -> None:
    unsaid = bilag.database.sql(
        "select a.attname from pg_attribute a where a.attrelid = 'bilag.overview'::regclass and a.attnum > 0"
        " and col_description(a.attrelid, a.attnum) is null"
    )
    assert {name for (name,) in unsaid} <= {
        "organization", "integration_type", "integration", "last_run_finished_at", "org_id",
    }  # fmt: skip
