"""What the tick watches: late schedules, work without a worker, slow runs, a heart that others lend, and quiet ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

import pytest

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.sql.fake_worker import FakeWorker, failed
from tests.sql.sessions import two_sessions


def tick(bilag: Bilag) -> None:
    """As pg_cron does."""
    bilag.database.sql("select bilag_internal.tick()")


def alerts(bilag: Bilag, kind: str | None = None) -> list[str]:
    rows = bilag.database.sql("select kind from bilag.open_alerts where kind = coalesce(%s, kind) order by kind", kind)
    return [found for (found,) in rows]


def details(bilag: Bilag, kind: str) -> dict[str, Any]:
    found = bilag.database.value("select details from bilag.open_alerts where kind = %s", kind)
    assert isinstance(found, dict)
    return found


def resolution(bilag: Bilag, kind: str) -> str:
    return str(bilag.database.value("select resolution from bilag.alerts where kind = %s", kind))


def at_one(org: Organisation, **columns: Any) -> None:
    """A schedule for an hour from now, each day."""
    values = {"integration_type": "xledger", "frequency": "daily", "run_at": "13:00", **columns}
    org.insert("export_schedules", values)


# --- schedules ---


def test_a_scheduled_run_that_has_not_started_after_five_minutes_is_told_with_its_time(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    at_one(org)
    bilag.advance(hours=1)
    worker.hello()
    tick(bilag)
    bilag.advance(minutes=5)
    worker.hello()
    tick(bilag)
    assert alerts(bilag, "schedule_drift") == []
    bilag.advance(seconds=1)
    tick(bilag)
    told = details(bilag, "schedule_drift")
    assert told["scheduledFor"] == "2026-03-02T12:00:00+00:00"
    assert told["startedAt"] is None
    message = bilag.database.value("select message from bilag.open_alerts where kind = 'schedule_drift'")
    assert message == "The run scheduled for 2026-03-02 12:00:00 UTC has not started."


def test_when_it_starts_late_both_times_are_told_until_a_later_one_starts_in_time(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    at_one(org)
    org.claim("C-1")
    bilag.advance(hours=1)
    tick(bilag)
    bilag.advance(minutes=7)
    tick(bilag)
    worker.work()
    for _ in range(3):
        tick(bilag)
    told = details(bilag, "schedule_drift")
    assert (told["scheduledFor"], told["startedAt"]) == ("2026-03-02T12:00:00+00:00", "2026-03-02T12:07:00+00:00")
    assert bilag.database.value("select count from bilag.open_alerts where kind = 'schedule_drift'") == 2, (
        "not each tick"
    )
    org.claim("C-2")
    bilag.advance(hours=23, minutes=53)
    tick(bilag)
    worker.work()
    tick(bilag)
    assert alerts(bilag, "schedule_drift") == []
    assert resolution(bilag, "schedule_drift") == "a later scheduled run started in time"


def test_a_run_that_the_tick_itself_made_too_late_is_told_though_it_started_at_once(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    at_one(org)
    org.claim("C-1")
    bilag.advance(hours=3)
    tick(bilag)
    worker.work()
    tick(bilag)
    assert details(bilag, "schedule_drift")["startedAt"] == "2026-03-02T14:00:00+00:00"


def test_a_slot_that_was_missed_and_is_skipped_is_told(bilag: Bilag, org: Organisation) -> None:
    at_one(org, missed_run_policy="skip")
    bilag.advance(hours=3)
    tick(bilag)
    assert details(bilag, "schedule_drift")["runId"] is None
    message = bilag.database.value("select message from bilag.open_alerts where kind = 'schedule_drift'")
    assert message == "The run scheduled for 2026-03-02 12:00:00 UTC was missed, and its schedule says skip."


def test_a_slot_whose_schedule_somebody_holds_is_told_too(bilag: Bilag, org: Organisation) -> None:
    at_one(org)
    bilag.advance(hours=1, minutes=6)
    with two_sessions(bilag.database) as (person, ticking):
        person.run("select 1 from bilag.export_schedules for update")
        done = ticking.start("select bilag_internal.tick()")
        assert not ticking.is_blocked(done)
        ticking.commit()
    assert details(bilag, "schedule_drift")["runId"] is None


def test_what_a_person_has_closed_is_not_opened_again_for_the_same_slot(bilag: Bilag, org: Organisation) -> None:
    at_one(org)
    bilag.advance(hours=1)
    tick(bilag)
    bilag.advance(minutes=7)
    tick(bilag)
    bilag.database.sql("select bilag.resolve_alert(id, 'known') from bilag.open_alerts where kind = 'schedule_drift'")
    tick(bilag)
    assert alerts(bilag, "schedule_drift") == []


def test_a_late_run_that_is_cancelled_is_late_no_more(bilag: Bilag, org: Organisation) -> None:
    at_one(org)
    bilag.advance(hours=1)
    tick(bilag)
    bilag.advance(minutes=7)
    tick(bilag)
    bilag.database.sql("select bilag.cancel_export(id) from bilag.export_runs")
    tick(bilag)
    assert resolution(bilag, "schedule_drift") == "the late run was cancelled"


@pytest.mark.parametrize(
    "end",
    [
        "delete from bilag.export_schedules",
        "update bilag.export_schedules set enabled = false",
        "update bilag.integration_config set enabled = false",
    ],
)
def test_a_late_run_whose_schedule_is_gone_is_over_once_it_has_started(
    bilag: Bilag, org: Organisation, worker: FakeWorker, end: LiteralString
) -> None:
    at_one(org)
    org.claim("C-1")
    bilag.advance(hours=1)
    tick(bilag)
    bilag.advance(minutes=7)
    tick(bilag)
    bilag.database.sql(end)
    tick(bilag)
    assert alerts(bilag, "schedule_drift") == ["schedule_drift"], "it is late still"
    bilag.database.sql("update bilag.integration_config set enabled = true")
    worker.hello()
    worker.work()
    bilag.database.sql(end)
    for _ in range(2):
        tick(bilag)
    assert alerts(bilag, "schedule_drift") == []
    assert resolution(bilag, "schedule_drift") == "it has started, and no schedule is left that could be late"


def test_the_view_of_drift_tells_the_same(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    at_one(org)
    bilag.advance(hours=1)
    tick(bilag)
    bilag.advance(minutes=7)
    row = bilag.database.sql("select scheduled_for, enqueued_at, started_at, drift from bilag.schedule_drift")
    assert row == [(NOON + timedelta(hours=1), NOON + timedelta(hours=1), None, timedelta(minutes=7))]
    worker.claim()
    assert bilag.database.value("select started_at - scheduled_for = drift from bilag.schedule_drift")


# --- workers ---


def unchecked(bilag: Bilag) -> None:
    """No health check comes due: when the first one does is drawn from the organisation's id."""
    bilag.database.sql("update bilag.integration_config set health_mode = 'passive'")


def test_work_that_is_due_for_two_minutes_without_a_sign_of_life_opens_no_worker(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    unchecked(bilag)
    org.claim("C-1")
    org.request()
    bilag.advance(minutes=1, seconds=59)
    tick(bilag)
    assert alerts(bilag) == []
    bilag.advance(seconds=1)
    tick(bilag)
    assert alerts(bilag) == ["no_worker"]
    assert details(bilag, "no_worker") == {
        "integrations": 1, "healthChecks": 0, "dueSince": "2026-03-02T11:00:00+00:00",
        "lastSeenAt": "2026-03-02T11:00:00+00:00",
    }  # fmt: skip
    message = bilag.database.value("select message from bilag.open_alerts")
    assert message == (
        "Work has been due since 2026-03-02 11:00:00 UTC, and no worker is alive: exports of 1 integration."
    )
    worker.hello()
    tick(bilag)
    assert resolution(bilag, "no_worker") == "a worker is alive"


def test_a_worker_that_lives_is_there_however_long_the_work_waits(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    bilag.advance(hours=1)
    worker.hello()
    tick(bilag)
    assert alerts(bilag, "no_worker") == []


def test_a_fleet_that_has_died_is_missed_at_the_next_health_check_long_before_an_export_is_due(
    bilag: Bilag, org: Organisation
) -> None:
    due = bilag.database.value("select due_at from bilag_internal.health_rounds")
    bilag.database.set_clock(due + timedelta(seconds=119))
    tick(bilag)
    assert alerts(bilag) == []
    bilag.advance(seconds=1)
    tick(bilag)
    told = details(bilag, "no_worker")
    assert (told["integrations"], told["healthChecks"], told["lastSeenAt"]) == (0, 1, None)
    assert datetime.fromisoformat(told["dueSince"]) == due
    bilag.worker()
    tick(bilag)
    assert resolution(bilag, "no_worker") == "a worker is alive"


def test_nobody_is_missed_while_nothing_is_due_or_everything_is_paused(bilag: Bilag, org: Organisation) -> None:
    unchecked(bilag)
    bilag.advance(hours=1)
    tick(bilag)
    org.claim("C-1")
    run = org.request()
    bilag.database.sql("select bilag.pause_everything('a test')")
    bilag.advance(hours=1)
    tick(bilag)
    assert alerts(bilag, "no_worker") == []
    bilag.database.sql("select bilag.resume_everything()")
    tick(bilag)
    assert alerts(bilag, "no_worker") == ["no_worker"]
    bilag.database.sql("select bilag.cancel_export(%s)", run)
    tick(bilag)
    assert resolution(bilag, "no_worker") == "no work is due any more"


# --- slow runs ---


def run_of(bilag: Bilag, org: Organisation, worker: FakeWorker, number: str, **lasts: float) -> UUID:
    org.claim(number)
    run = org.request()
    job = worker.claim_one()
    bilag.advance(**lasts)
    worker.hello()
    worker.settle({**job}, "exported")
    worker.work()
    return run


def quick_runs(bilag: Bilag, org: Organisation, worker: FakeWorker, count: int) -> None:
    for n in range(count):
        run_of(bilag, org, worker, f"Q-{n}", seconds=40)


def test_a_run_that_takes_three_times_the_usual_is_told_until_it_ends(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    quick_runs(bilag, org, worker, 10)
    org.claim("slow")
    run = org.request()
    job = worker.claim_one()
    bilag.advance(seconds=120)
    tick(bilag)
    assert alerts(bilag, "export_slow") == [], "three times is still usual"
    bilag.advance(seconds=1)
    for _ in range(3):
        tick(bilag)
    told = details(bilag, "export_slow")
    assert (told["runId"], told["usualSeconds"]) == (str(run), 40)
    worker.hello()
    worker.settle(job, "exported")
    worker.work()
    tick(bilag)
    assert resolution(bilag, "export_slow") == "the run has ended"


def test_runs_that_found_nothing_say_nothing_of_what_is_usual(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    quick_runs(bilag, org, worker, 3)
    for _ in range(10):
        org.request()
        worker.work()
        bilag.advance(seconds=1)
    org.claim("C-1")
    org.request()
    worker.claim_one()
    bilag.advance(seconds=100)
    tick(bilag)
    assert alerts(bilag, "export_slow") == []


def test_of_two_runs_nobody_knows_what_is_usual_and_no_run_of_a_minute_is_slow(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    quick_runs(bilag, org, worker, 2)
    org.claim("slow")
    org.request()
    worker.claim_one()
    bilag.advance(hours=1)
    tick(bilag)
    assert alerts(bilag, "export_slow") == []


def test_a_run_of_less_than_a_minute_is_never_slow(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    for n in range(3):
        run_of(bilag, org, worker, f"Q-{n}", seconds=0)
    org.claim("slow")
    org.request()
    worker.claim_one()
    bilag.advance(seconds=59)
    tick(bilag)
    assert alerts(bilag, "export_slow") == []
    bilag.advance(seconds=1)
    tick(bilag)
    assert alerts(bilag, "export_slow") == ["export_slow"]


# --- the heart ---


def with_pg_cron(bilag: Bilag) -> None:
    """As far as anybody can see from outside."""
    bilag.database.sql("create schema if not exists cron")
    bilag.database.sql("create table if not exists cron.job (jobname text)")


def test_when_workers_tick_where_pg_cron_should_it_is_told_until_pg_cron_does(bilag: Bilag, worker: FakeWorker) -> None:
    with_pg_cron(bilag)
    tick(bilag)
    bilag.advance(minutes=2)
    worker.tick()
    assert alerts(bilag) == []
    bilag.advance(seconds=1)
    worker.tick()
    worker.tick()
    assert alerts(bilag) == ["scheduler_stalled"]
    assert details(bilag, "scheduler_stalled") == {"lastTickAt": "2026-03-02T11:00:00+00:00"}
    tick(bilag)
    assert resolution(bilag, "scheduler_stalled") == "pg_cron ticks again"


def test_a_worker_that_logs_in_as_its_role_stands_in_for_pg_cron_too(bilag: Bilag) -> None:
    with_pg_cron(bilag)
    connection = bilag.database.connect()
    connection.execute("set session authorization bilag_worker")
    connection.execute("select bilag_internal.tick()")
    assert alerts(bilag) == ["scheduler_stalled"]


def test_where_there_is_no_pg_cron_workers_tick_and_nothing_is_wrong(bilag: Bilag, worker: FakeWorker) -> None:
    bilag.advance(hours=1)
    worker.tick()
    assert alerts(bilag) == []
    assert bilag.database.value("select ticked_at from bilag.installation") == NOON + timedelta(hours=1)
    assert bilag.database.value("select cron_ticked_at from bilag.installation") is None


# --- ends that nobody else notices ---


def test_a_changed_server_is_no_news_once_the_day_of_looking_is_over(bilag: Bilag, worker: FakeWorker) -> None:
    tick(bilag)
    bilag.database.sql("update bilag.installation set timeline = 99")
    tick(bilag)
    bilag.advance(hours=23, minutes=59)
    tick(bilag)
    assert alerts(bilag) == ["server_changed"]
    bilag.advance(minutes=1)
    tick(bilag)
    assert alerts(bilag) == []


def test_a_dead_letter_is_over_when_it_is_redriven_discarded_or_purged(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    for act in ("redrive(id)", "discard(id, 'x')"):
        org.claim(act)
        org.request()
        for _ in range(11):
            worker.claim()
            bilag.advance(seconds=61)
        assert alerts(bilag, "dead_letter") == ["dead_letter"]
        bilag.database.connect().execute(f"select bilag.{act} from bilag.dead_letters".encode())
        assert alerts(bilag, "dead_letter") == []
        worker.work()
    bilag.database.sql("""select pgmq.send('bilag_exports', '{"x": 1}') from generate_series(1, 2)""")
    worker.claim()
    bilag.database.sql("select bilag.discard(min(id), 'x') from bilag.dead_letters")
    assert alerts(bilag, "dead_letter") == ["dead_letter"], "one is still there"
    bilag.database.sql("select pgmq.purge_queue('bilag_dead_letters')")
    tick(bilag)
    assert alerts(bilag, "dead_letter") == []


def test_a_credential_of_the_environment_is_told_until_vault_gives_it_again(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    job = worker.claim_one()
    worker.call("select bilag_internal.fell_back(%s)", job["lane"])
    worker.call("select bilag_internal.read_credential(%s, %s)", job["lane"], job["token"])
    assert alerts(bilag) == ["credential_fallback"], "Vault gave none"
    assert bilag.database.value("select org_id from bilag.open_alerts") == org.id
    bilag.database.sql("select bilag.set_integration_credential(%s, 'xledger', 's3cret-value')", org.id)
    worker.settle(job, "unsent", failure=failed("transient", "credential_changed"))
    bilag.advance(minutes=1)
    job = worker.claim_one()
    worker.call("select bilag_internal.read_credential(%s, %s)", job["lane"], job["token"])
    assert resolution(bilag, "credential_fallback") == "Vault gives the credential again"
