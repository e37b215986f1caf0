"""How an export is asked for, and that each way makes the claims arrive."""

from __future__ import annotations

from datetime import timedelta

from dev.fakes import Dynamics365Fake, XledgerFake
from tests.fix_postgres import as_user
from tests.flow.installation import Installation, beside_thread
from tests.flow.patience import until
from tests.flow.stories import story
from tests.flow.systems import BUSINESS_CENTRAL
from tests.flow.tenant import Sturdy
from worker.migrate import migrate

CRON_PATIENCE_SECONDS = 150.0
"""pg_cron ticks once a minute."""


@story()
def test_an_insert_into_export_runs_alone_makes_the_claims_arrive(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation(claims=20)
    here.worker().said("worker.started")
    run = org.insert_run()
    assert org.until_ended(run)["status"] == "succeeded"
    assert here.verdict().is_right
    assert here.verdict().booked == 20


@story()
def test_a_finance_admin_asks_by_rpc_as_postgrest_does_it_and_polls_the_status(
    here: Installation, erp: XledgerFake
) -> None:
    org = here.organisation(claims=5)
    treasurer = org.member("finance_admin")
    here.worker()
    connection = here.database.owner()
    with as_user(connection, treasurer) as session:
        row = session.execute("select bilag.request_export(%s, 'xledger')", (org.id,)).fetchone()
    assert row is not None

    def poll() -> bool:
        with as_user(connection, treasurer) as session:
            found = session.execute("select bilag.export_status(%s) ->> 'status'", row).fetchone()
        return found == ("succeeded",)

    until("the status that the treasurer polls says succeeded", poll)
    assert here.verdict().is_right


@story()
def test_a_draining_worker_ends_by_itself_when_everything_is_in_the_ledger(
    here: Installation, erp: XledgerFake
) -> None:
    erp.import_delay = 1.0
    first, second = here.organisation("Første", claims=30), here.organisation("Andre", claims=30)
    first.request()
    second.request()
    assert here.worker("--drain").ended() == 0
    verdict = here.verdict()
    assert verdict.is_right, verdict
    assert verdict.booked == 60


@story()
def test_a_draining_worker_with_nothing_to_do_ends_at_once(here: Installation, erp: XledgerFake) -> None:
    here.organisation(claims=3)
    assert here.worker("--drain").ended() == 0
    assert erp.calls.total() == 0


@story(system=BUSINESS_CENTRAL)
def test_a_tick_has_the_worker_fetch_the_access_token_before_the_scheduled_run(
    here: Installation, bc: Dynamics365Fake
) -> None:
    here.database.sql("select bilag_internal.set_clock('2026-03-02 10:59:30+00')")
    org = here.organisation(claims=3)
    here.database.sql("update bilag.integration_config set health_mode = 'passive'")  # a check would fetch it, too
    here.database.sql(
        "insert into bilag.export_schedules (org_id, integration_type, frequency, run_at, time_zone)"
        " values (%s, 'dynamics365', 'daily', '12:00', 'Europe/Oslo')",
        org.id,
    )
    here.worker().said("worker.started")

    def fetched() -> bool:
        here.tick()
        return bc.calls["token"] > 0

    until("the token is fetched", fetched)
    assert {one.method for one in bc.requests if bc.operation(one) != "token"} <= {"HEAD"}, "no data was asked for"
    here.database.advance(timedelta(seconds=30))
    here.tick()
    ((run,),) = here.database.sql("select id from bilag.export_runs where trigger = 'schedule'")
    assert org.until_ended(run)["status"] == "succeeded"
    assert here.verdict().booked == 3
    assert bc.calls["token"] == 1


@story(own_server=True)
def test_a_schedule_is_fired_by_the_real_pg_cron(here: Installation, erp: XledgerFake) -> None:
    assert here.server.cron_database is not None, "pg_cron is part of what `make test` installs"
    ticked = Sturdy(here.server, here.server.dsn(here.server.cron_database))
    migrate(ticked.dsn)
    there = beside_thread(ticked, here.folder, erp)
    try:
        org = there.organisation(claims=4)
        ticked.sql(
            "insert into bilag.export_schedules (org_id, integration_type, frequency, run_at)"
            " select id, 'xledger', 'daily', (now() at time zone time_zone)::time + interval '1 second'"
            " from bilag.organizations where id = %s",
            org.id,
        )
        there.worker()
        ran = "select id from bilag.export_runs where trigger = 'schedule'"
        ((run,),) = until("pg_cron fires the schedule", lambda: ticked.sql(ran), CRON_PATIENCE_SECONDS)
        assert org.until_ended(run)["scheduledFor"] is not None
        assert there.until_right().booked == 4
        assert ticked.value("select count(*) from bilag.export_runs") == 1
    finally:
        there.close()
