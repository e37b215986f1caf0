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


def test_a_claimant_sees_how_their_own_claims_stand_and_not_what_was_said_of_them(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    claimant = org.member("member")
    for number, line in (("booked", Line("Taxi", "100.50")), ("rejected", Line("Sauna", "1"))):
        org.claim(number, line, claimant_user_id=claimant)
    excluded = org.claim("excluded", claimant_user_id=claimant)
    bilag.database.sql("select bilag.exclude_claim(%s, 'xledger', 'suspicious')", excluded)
    org.claim("another's")
    org.request()
    worker.work()
    columns = "claim_number, state, voucher_number, amount::text, reason_code, reason, reason_params, reference, run"
    with bilag.database.as_user(claimant) as connection:
        rows = connection.execute(f"select {columns} from bilag.claim_exports order by 1".encode()).fetchall()
    assert rows == [
        ("booked", "booked", 2, "100.50", None, None, None, None, None),
        ("excluded", "excluded by a person", None, None, "excluded", None, None, None, None),
        ("rejected", "rejected", None, "1.00", "mapping_missing", None, None, None, None),
    ]


def test_a_claimant_who_is_finance_admin_sees_each_claim_once(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    claimant = org.member()
    org.claim("C-1", claimant_user_id=claimant)
    org.request()
    worker.work()
    with bilag.database.as_user(claimant) as connection:
        rows = connection.execute("select claim_number, external_id is not null from bilag.claim_exports").fetchall()
    assert rows == [("C-1", True)]


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


def states(org: Organisation) -> dict[str, str]:
    return dict(org.database.sql("select claim_number, state from bilag.claim_exports where org_id = %s", org.id))


def test_each_claim_has_one_row_in_plain_words(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("early", approved_at="2026-01-01")
    org.claim("draft", status="draft")
    excluded, elsewhere = org.claim("excluded"), org.claim("elsewhere")
    bilag.database.sql("select bilag.exclude_claim(%s, 'xledger', 'private')", excluded)
    bilag.database.sql("select bilag.mark_booked(%s, 'xledger', 'V-1', null)", elsewhere)
    org.claim("unmapped", Line("Sauna", "1"))
    outcomes = {"exported": "exported", "accepted": "accepted", "doubtful": "unknown", "refused": "rejected"}
    for number in outcomes:
        org.claim(number)
    org.request()
    worker.settle(worker.claim_one(), lambda item: outcomes[item["voucher"]["claimNumber"]])
    org.claim("waits")
    assert states(org) == {
        "early": "approved before export_from: not ours", "excluded": "excluded by a person",
        "elsewhere": "booked elsewhere", "unmapped": "rejected", "exported": "booked",
        "accepted": "accepted, not yet seen in the ledger", "doubtful": "in doubt: being looked up",
        "refused": "rejected", "waits": "approved, waits for the next export",
    }  # fmt: skip


def test_a_rejected_claim_says_why_and_what_to_do(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1", Line("Sauna", "1"))
    org.request()
    worker.work()
    row = org.database.sql("select reason_code, reason_params, reason, what_to_do from bilag.claim_exports")
    assert row == [
        (
            "mapping_missing", {"category": "Sauna"}, "No account is mapped for category Sauna.",
            "Insert a row into bilag.account_mappings for it; the next export takes the claim.",
        )
    ]  # fmt: skip


def test_a_booked_claim_shows_its_voucher(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    run = org.request()
    worker.settle(worker.claim_one(), {"outcome": "exported", "externalId": "GL-1"})
    row = org.database.sql("select voucher_number, external_id, amount::text, currency, run from bilag.claim_exports")
    assert row == [(1, "GL-1", "100.50", "NOK", run)]


def test_a_run_in_progress_has_a_bar(org: Organisation, worker: FakeWorker) -> None:
    org.approve(500)
    org.request()
    worker.settle(worker.claim_one())
    ((total, done, bar),) = org.database.sql("select total, done, progress from bilag.runs_in_progress")
    assert (total, done, bar) == (500, 250, "█" * 10 + "·" * 10)


def test_what_does_not_move_is_stuck_with_why_and_what_to_do(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    assert bilag.database.sql("select what from bilag.stuck") == []
    bilag.advance(minutes=3)
    rows = bilag.database.sql("select organization, what, why, what_to_do from bilag.stuck")
    assert rows == [
        (
            "Testlaget", "lane", "Work has been due for more than two minutes and no worker has it.",
            "Look at bilag.workers; start one: bilag worker.",
        )
    ]  # fmt: skip
    bilag.database.sql("select bilag.pause_integration(%s, 'xledger', 'stocktaking')", org.id)
    assert bilag.database.sql("select what, why from bilag.stuck") == [("integration", "stocktaking")]


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
