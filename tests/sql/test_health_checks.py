"""When each connection is checked, and who gets to check it."""

from __future__ import annotations

from datetime import timedelta
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.sql.health_worker import DEAD, LIMITED, WELL, HealthWorker, checked, health, health_worker
from tests.sql.history import many

MINUTES: LiteralString = (
    "select extract(epoch from next_check_at - checked_at)::int / 60 from bilag.integration_health_status"
)


@pytest.fixture
def watch(bilag: Bilag) -> HealthWorker:
    return health_worker(bilag)


def waiting(bilag: Bilag) -> int:
    return int(bilag.database.value("select count(*) from pgmq.q_bilag_health_checks"))


def test_a_new_connection_is_checked_within_a_quarter_of_an_hour(
    bilag: Bilag, org: Organisation, watch: HealthWorker
) -> None:
    assert watch.round(WELL) == []
    bilag.advance(minutes=15)
    assert watch.round(WELL) == ["xledger"]
    assert health(org)["status"] == "healthy"


def test_all_connections_of_an_organisation_are_one_round(bilag: Bilag, org: Organisation, watch: HealthWorker) -> None:
    bilag.type("other")
    org.integration("other")
    bilag.advance(minutes=15)
    watch.tick()
    (got,) = watch.claim_checks()
    assert [check["integrationType"] for check in got["checks"]] == ["other", "xledger"]
    assert {check["orgId"] for check in got["checks"]} == {str(org.id)}
    assert got["checks"][1]["settings"] == {"settlement_account": "2910"}
    assert "secret" not in str(got).lower()


def test_a_healthy_connection_is_checked_every_quarter_of_an_hour_and_never_more_often(
    bilag: Bilag, org: Organisation, watch: HealthWorker
) -> None:
    bilag.advance(minutes=15)
    when = []
    for minute in range(64):
        if watch.round(WELL):
            when.append(minute)
        bilag.advance(minutes=1)
    assert when == [0, 15, 30, 45, 60]


def test_after_failures_in_a_row_the_wait_doubles_to_two_hours_and_one_success_ends_that(
    bilag: Bilag, org: Organisation, watch: HealthWorker
) -> None:
    waits = []
    for _ in range(6):
        bilag.advance(hours=3)
        assert watch.round(DEAD) == ["xledger"]
        waits.append(bilag.database.value(MINUTES))
    assert waits == [15, 30, 60, 120, 120, 120]
    bilag.advance(hours=2)
    assert watch.round(WELL) == ["xledger"]
    assert bilag.database.value(MINUTES) == 15
    assert health(org)["consecutive_failures"] == 0


def test_what_is_disabled_is_not_checked(bilag: Bilag, org: Organisation, watch: HealthWorker) -> None:
    bilag.database.sql("update bilag.integration_config set enabled = false")
    bilag.advance(hours=1)
    assert watch.round(WELL) == []
    bilag.database.sql("update bilag.integration_config set enabled = true")
    assert watch.round(WELL) == ["xledger"]


def test_ten_thousand_organisations_do_not_come_at_once(bilag: Bilag) -> None:
    """Neither after they were all made in one statement, nor after an outage in which all became due."""
    many(bilag, 10_000)
    watch = health_worker(bilag)
    for _ in range(2):
        sent = []
        for _minute in range(16):
            bilag.advance(minutes=1)
            sent.append(watch.tick()["checks"])
        assert max(sent) < 1000
        assert sum(sent) == 10_000
        assert waiting(bilag) == 10_000
        bilag.database.sql("select pgmq.purge_queue('bilag_health_checks')")
        bilag.advance(hours=3)


def test_a_tick_sends_no_second_hint_while_one_waits_and_a_new_one_when_it_is_lost(
    bilag: Bilag, org: Organisation, watch: HealthWorker
) -> None:
    bilag.advance(minutes=15)
    assert [watch.tick()["checks"] for _ in range(2)] == [1, 0]
    bilag.database.sql("select pgmq.purge_queue('bilag_health_checks')")
    assert watch.tick()["checks"] == 1
    assert len(watch.claim_checks()) == 1


def test_a_round_is_in_one_hand_and_comes_back_when_its_worker_dies(
    bilag: Bilag, org: Organisation, watch: HealthWorker
) -> None:
    bilag.advance(minutes=15)
    watch.tick()
    (lost,) = watch.claim_checks()
    assert watch.claim_checks() == []
    watch.tick()
    assert watch.claim_checks() == []
    bilag.advance(seconds=61)
    watch.tick()
    (got,) = watch.claim_checks()
    assert watch.settle_checks(checked(lost, DEAD)) == []
    assert bilag.database.sql("select status from bilag.integration_health_status") == []
    watch.settle_checks(checked(got, WELL))
    assert health(org)["status"] == "healthy"


def test_a_round_that_was_put_down_is_taken_up_by_another_worker(
    bilag: Bilag, org: Organisation, watch: HealthWorker
) -> None:
    bilag.advance(minutes=15)
    watch.tick()
    (got,) = watch.claim_checks()
    watch.settle_checks(checked(got, stopped=True))
    bilag.advance(minutes=1)
    assert health_worker(bilag).round(WELL) == ["xledger"]


def test_messages_that_mean_nothing_are_set_aside_and_stop_nothing(
    bilag: Bilag, org: Organisation, watch: HealthWorker
) -> None:
    for message in ("[]", '{"org_id": "x"}', f'{{"org_id": "{uuid4()}"}}'):
        bilag.database.sql("select pgmq.send('bilag_health_checks', %s::jsonb)", message)
    bilag.advance(minutes=15)
    assert watch.round(WELL) == ["xledger"]
    reasons = bilag.database.sql("select reason_code from bilag.dead_letters order by id")
    assert [code for (code,) in reasons] == ["message_means_nothing", "message_means_nothing", "lane_unknown"]
    assert waiting(bilag) == 0


def test_messages_carry_the_organisation_alone(bilag: Bilag, org: Organisation, watch: HealthWorker) -> None:
    bilag.advance(minutes=15)
    watch.tick()
    assert bilag.database.value("select message from pgmq.q_bilag_health_checks") == {"org_id": str(org.id)}


def test_a_worker_that_is_not_ours_gets_nothing(bilag: Bilag, org: Organisation, watch: HealthWorker) -> None:
    for statement, code in (
        ("update bilag.installation set environment = 'elsewhere'", "KB011"),
        ("update bilag.worker_heartbeats set contract = 99", "KB010"),
        ("delete from bilag.worker_heartbeats", "KB012"),
    ):
        bilag.database.connect().execute(statement.encode())
        with pytest.raises(psycopg.Error) as caught:
            watch.claim_checks()
        assert caught.value.sqlstate == code


def test_the_token_of_a_live_round_reads_the_credential_of_its_organisation_and_no_other(
    bilag: Bilag, org: Organisation, watch: HealthWorker
) -> None:
    other = bilag.organisation("Other")
    for one, secret in ((org, "ours"), (other, "theirs")):
        bilag.database.sql("select bilag.set_integration_credential(%s, 'xledger', %s)", one.id, secret)
    bilag.advance(minutes=15)
    watch.tick()
    rounds = {got["orgId"]: got for got in watch.claim_checks()}
    mine, foreign = rounds[str(org.id)], rounds[str(other.id)]
    read: LiteralString = "select bilag_internal.read_credential(%s, %s)"
    (found,) = watch.call(read, mine["checks"][0]["lane"], mine["token"])
    assert found["secret"] == "ours"
    with pytest.raises(psycopg.Error) as caught:
        watch.call(read, mine["checks"][0]["lane"], foreign["token"])
    assert caught.value.sqlstate == "KB020"
    bilag.advance(seconds=61)
    with pytest.raises(psycopg.Error) as caught:
        watch.call(read, mine["checks"][0]["lane"], mine["token"])
    assert caught.value.sqlstate == "KB020"


def test_a_draining_worker_waits_for_what_is_due_or_in_flight_in_the_queues_it_serves(
    bilag: Bilag, org: Organisation, watch: HealthWorker
) -> None:
    def left(*queues: str) -> tuple[int, int]:
        (said,) = watch.call("select bilag_internal.work_left(%s)", list(queues))
        return said["due"], said["inFlight"]

    assert left("exports", "health_checks") == (0, 0)
    bilag.advance(minutes=15)
    assert (left("exports"), left("health_checks"), left("exports", "health_checks")) == ((0, 0), (1, 0), (1, 0))
    watch.tick()
    (got,) = watch.claim_checks()
    assert left("health_checks") == (0, 1)
    watch.settle_checks(checked(got, WELL))
    assert left("health_checks") == (0, 0)


def test_no_tick_and_no_claim_waits_for_a_person_who_changes_a_connection(
    bilag: Bilag, org: Organisation, watch: HealthWorker
) -> None:
    bilag.advance(minutes=15)
    connection = bilag.database.connect(autocommit=False)
    connection.execute("update bilag.integration_config set enabled = false")
    watch.connection.execute("set lock_timeout = '2s'")
    assert watch.round(WELL) == []
    connection.rollback()
    assert watch.round(WELL) == ["xledger"]


def test_no_tick_waits_for_a_person_whose_request_is_not_committed_yet(
    bilag: Bilag, org: Organisation, watch: HealthWorker
) -> None:
    bilag.advance(minutes=15)
    watch.round(LIMITED)
    bilag.advance(days=2)
    connection = bilag.database.connect(autocommit=False)
    connection.execute("select bilag.request_health_check(%s)", [org.id])
    watch.connection.execute("set lock_timeout = '2s'")
    watch.tick()
    assert bilag.database.value("select health_mode from bilag.integration_config") == "passive"
    connection.rollback()
    assert watch.round(WELL) == ["xledger"]


def test_the_next_check_is_planned_by_the_databases_clock(bilag: Bilag, org: Organisation, watch: HealthWorker) -> None:
    bilag.advance(minutes=15)
    watch.tick()
    (got,) = watch.claim_checks()
    bilag.advance(seconds=9)
    watch.settle_checks(checked(got, {**WELL, "afterSeconds": 4.5}))
    rows = bilag.database.sql("select checked_at, next_check_at from bilag.integration_health_status")
    handed_out = NOON + timedelta(minutes=15)
    assert rows == [(handed_out + timedelta(seconds=4.5), handed_out + timedelta(minutes=15))]
