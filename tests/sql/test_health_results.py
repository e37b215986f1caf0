"""What checks found: status, history, alerts, and what a rate limit means."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.health_worker import DEAD, LIMITED, WELL, HealthWorker, checked, health, health_worker, history


@pytest.fixture
def watch(bilag: Bilag) -> HealthWorker:
    bilag.database.sql("select bilag_internal.advance_clock('-15 minutes')")
    return health_worker(bilag)


@pytest.fixture
def due(bilag: Bilag, watch: HealthWorker, org: Organisation) -> Organisation:
    bilag.advance(minutes=15)
    return org


def alerts(bilag: Bilag, kind: str = "integration_unreachable") -> list[tuple[int, str | None]]:
    return bilag.database.sql("select count, resolution from bilag.alerts where kind = %s order by id", kind)


def fail(bilag: Bilag, watch: HealthWorker, times: int) -> None:
    for _ in range(times):
        assert watch.round(DEAD) == ["xledger"]
        bilag.advance(hours=2)


def test_a_check_is_a_status_with_its_latency_and_a_row_of_history(
    bilag: Bilag, due: Organisation, watch: HealthWorker
) -> None:
    watch.round(WELL)
    row = health(due)
    assert (row["status"], row["latency_ms"], row["error_message"]) == ("healthy", 42, None)
    assert bilag.database.sql("select status, latency_ms, error_message from bilag.health_check_history") == [
        ("healthy", 42, None)
    ]


def test_the_next_check_updates_the_status_and_lengthens_the_history(
    bilag: Bilag, due: Organisation, watch: HealthWorker
) -> None:
    watch.round(WELL)
    first = health(due)["id"]
    bilag.advance(minutes=15)
    watch.round(DEAD)
    row = health(due)
    assert (row["id"], row["status"], row["latency_ms"], row["error_message"]) == (
        first,
        "unreachable",
        None,
        "no answer",
    )
    assert history(due) == ["healthy", "unreachable"]


def test_one_that_fails_leaves_the_others_as_they_are(bilag: Bilag, due: Organisation, watch: HealthWorker) -> None:
    bilag.type("other")
    due.integration("other")
    bilag.advance(minutes=15)
    watch.round(DEAD, WELL)
    assert [health(due, kind)["status"] for kind in ("other", "xledger")] == ["unreachable", "healthy"]


def test_a_check_that_is_told_late_does_not_overwrite_a_newer_one(
    bilag: Bilag, due: Organisation, watch: HealthWorker
) -> None:
    watch.tick()
    (got,) = watch.claim_checks()
    bilag.advance(seconds=30)
    bilag.database.sql(
        "insert into bilag.integration_health_status (org_id, integration_type, status, checked_at)"
        " values (%s, 'xledger', 'degraded', bilag_internal.now())",
        due.id,
    )
    watch.settle_checks(checked(got, DEAD))
    assert health(due)["status"] == "degraded"
    assert history(due) == ["unreachable"]
    assert health(due)["next_check_at"] is not None


def test_the_alert_opens_at_the_third_failure_in_a_row_counts_and_resolves_when_it_answers(
    bilag: Bilag, due: Organisation, watch: HealthWorker
) -> None:
    fail(bilag, watch, 2)
    assert alerts(bilag) == []
    fail(bilag, watch, 3)
    assert alerts(bilag) == [(3, None)]
    ((org, kind, message),) = bilag.database.sql(
        "select org_id, integration_type, message from bilag.alerts where kind = 'integration_unreachable'"
    )
    assert (org, kind, message) == (due.id, "xledger", "no answer")
    watch.round({**WELL, "status": "degraded", "error": "slow"})
    assert alerts(bilag) == [(3, "a check was answered")]
    bilag.advance(minutes=15)
    fail(bilag, watch, 2)
    assert len(alerts(bilag)) == 1


def test_an_integration_that_waits_for_a_credential_has_that_alert_and_no_second_one(
    bilag: Bilag, due: Organisation, watch: HealthWorker
) -> None:
    bilag.database.sql(
        "update bilag.integration_config set paused_at = now(), paused_reason_code = 'credential_missing'"
    )
    fail(bilag, watch, 4)
    assert alerts(bilag) == []


def mode(bilag: Bilag) -> str:
    return str(bilag.database.value("select health_mode from bilag.integration_config"))


def test_a_rate_limit_makes_it_passive_for_a_quiet_day(bilag: Bilag, due: Organisation, watch: HealthWorker) -> None:
    watch.round(LIMITED)
    assert (health(due)["status"], mode(bilag)) == ("degraded", "passive")
    for _ in range(23):
        bilag.advance(hours=1)
        assert watch.round(WELL) == []
    bilag.advance(hours=1)
    watch.tick()
    assert mode(bilag) == "active"
    assert watch.round(WELL) == ["xledger"]


def test_a_person_ends_passivity_at_once_and_what_a_person_chose_no_day_ends(
    bilag: Bilag, due: Organisation, watch: HealthWorker
) -> None:
    watch.round(LIMITED)
    bilag.advance(minutes=15)
    with bilag.database.as_user(due.member()) as connection:
        connection.execute("update bilag.integration_config set health_mode = 'active'")
    assert watch.round(WELL) == ["xledger"]
    with bilag.database.as_user(due.member()) as connection:
        connection.execute("update bilag.integration_config set health_mode = 'passive'")
    bilag.advance(days=3)
    assert watch.round(WELL) == []
    assert mode(bilag) == "passive"


def test_a_check_that_a_person_asks_for_ends_passivity_if_it_is_answered(
    bilag: Bilag, due: Organisation, watch: HealthWorker
) -> None:
    watch.round(LIMITED)
    for answer, then in ((LIMITED, "passive"), (WELL, "active")):
        bilag.advance(minutes=5)
        bilag.database.sql("select bilag.request_health_check(%s)", due.id)
        assert watch.round(answer) == ["xledger"]
        assert mode(bilag) == then


def test_a_credential_about_to_expire_degrades_what_answers(
    bilag: Bilag, due: Organisation, watch: HealthWorker
) -> None:
    at = bilag.database.value("select bilag_internal.now() + interval '6 days'")
    bilag.database.sql("select bilag.set_integration_credential(%s, 'xledger', 's', %s)", due.id, at)
    watch.round(WELL)
    row = health(due)
    assert (row["status"], row["latency_ms"]) == ("degraded", 42)
    assert row["error_message"] == "The credential expires at 2026-03-08 11:00 UTC."


def test_a_report_whose_row_somebody_holds_is_told_again_and_keeps_no_other_waiting(
    bilag: Bilag, due: Organisation, watch: HealthWorker
) -> None:
    other = bilag.organisation("Other")
    bilag.advance(minutes=15)
    watch.round(WELL)
    bilag.advance(minutes=15)
    watch.tick()
    rounds = {got["orgId"]: got for got in watch.claim_checks()}
    connection = bilag.database.connect(autocommit=False)
    connection.execute("select * from bilag.integration_health_status where org_id = %s for update", [due.id])
    reports = [checked(got, DEAD) for got in rounds.values()]
    mine = rounds[str(due.id)]
    later = {"kind": "later", "lane": str(due.id), "token": mine["token"]}
    assert watch.settle_checks(*reports) == [later]
    assert [health(one)["status"] for one in (due, other)] == ["healthy", "unreachable"]
    connection.rollback()
    assert watch.settle_checks(*reports) == []
    assert health(due)["status"] == "unreachable"
    assert len(history(other)) == 2  # told twice, counted once


def test_a_status_that_no_check_can_have_is_refused_whole(bilag: Bilag, due: Organisation, watch: HealthWorker) -> None:
    watch.tick()
    (got,) = watch.claim_checks()
    with pytest.raises(psycopg.errors.CheckViolation):
        watch.settle_checks(checked(got, {**WELL, "status": "sleepy"}))


def test_reports_of_the_same_connections_from_eight_workers_in_any_order_never_lock_each_other(bilag: Bilag) -> None:
    """A bundle of one worker and a bundle of another may hold the same organisations in opposite order."""
    orgs = [bilag.organisation(f"Org {n}") for n in range(6)]
    bilag.advance(minutes=15)
    first = health_worker(bilag)
    first.tick()
    rounds = first.claim_checks(100)
    troubles: list[Any] = []
    later: list[Any] = []

    def tell(worker: HealthWorker, reports: list[dict[str, Any]]) -> None:
        try:
            later.extend(worker.settle_checks(*reports))
        except psycopg.Error as error:
            troubles.append(error)

    threads = []
    for n in range(8):
        reports = [checked(got, WELL) for got in (rounds if n % 2 else reversed(rounds))]
        threads.append(threading.Thread(target=tell, args=(health_worker(bilag), reports)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    assert [history(org) for org in orgs] == [["healthy"]] * 6


def test_expiry_is_one_alert_that_grows_worse_at_30_7_and_1_days(
    bilag: Bilag, due: Organisation, watch: HealthWorker
) -> None:
    at = bilag.database.value("select bilag_internal.now() + interval '40 days'")
    bilag.database.sql("select bilag.set_integration_credential(%s, 'xledger', 's', %s)", due.id, at)
    seen = []
    for days in (9, 2, 22, 1, 5, 1, 1):  # 31, 29, 7, 6, 1, 0 days are left, and then it has expired
        bilag.advance(days=days)
        watch.tick()
        watch.tick()
        rows = bilag.database.sql(
            "select severity, message, count from bilag.open_alerts where kind = 'credential_expiring'"
        )
        seen.append([(severity, message.split(",")[0].split(" at ")[0], count) for severity, message, count in rows])
    words = "The credential of xledger expires within"
    assert seen == [
        [],
        [("info", f"{words} 30 days", 1)],
        [("warning", f"{words} 7 days", 2)],
        [("warning", f"{words} 7 days", 2)],
        [("critical", f"{words} a day", 3)],
        [("critical", "The credential of xledger expired", 4)],
        [("critical", "The credential of xledger expired", 4)],
    ]
    assert len(alerts(bilag, "credential_expiring")) == 1
    bilag.database.sql("select bilag.set_integration_credential(%s, 'xledger', 'new')", due.id)
    assert alerts(bilag, "credential_expiring") == [(4, "a new credential was set")]
    watch.tick()
    assert len(alerts(bilag, "credential_expiring")) == 1


def test_a_new_credential_ends_the_wait_of_what_was_not_well(
    bilag: Bilag, due: Organisation, watch: HealthWorker
) -> None:
    fail(bilag, watch, 4)
    watch.round(DEAD)
    bilag.advance(minutes=15)
    assert watch.round(WELL) == []
    bilag.database.sql("select bilag.set_integration_credential(%s, 'xledger', 'new')", due.id)
    assert watch.round(WELL) == ["xledger"]


def test_an_alert_that_is_read_soon_says_when(bilag: Bilag, due: Organisation, watch: HealthWorker) -> None:
    at = bilag.database.value("select bilag_internal.now()") + timedelta(hours=20)
    bilag.database.sql("select bilag.set_integration_credential(%s, 'xledger', 's', %s)", due.id, at)
    watch.tick()
    assert bilag.database.value("select message from bilag.open_alerts where kind = 'credential_expiring'") == (
        "The credential of xledger expires within a day, at 2026-03-03 07:00 UTC."
    )
