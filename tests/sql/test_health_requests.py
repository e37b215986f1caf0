"""A person asks for a check now, and asks what came of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.health_worker import WELL, HealthWorker, checked, health_worker


@pytest.fixture
def watch(bilag: Bilag) -> HealthWorker:
    return health_worker(bilag)


def ask(bilag: Bilag, org: Organisation) -> UUID:
    found: UUID = bilag.database.value("select bilag.request_health_check(%s)", org.id)
    return found


def said(bilag: Bilag, check: UUID) -> dict[str, Any]:
    return dict(bilag.database.value("select bilag.health_check_status(%s)", check))


def test_a_requested_check_is_queued_runs_and_is_done(bilag: Bilag, org: Organisation, watch: HealthWorker) -> None:
    check = ask(bilag, org)
    before = said(bilag, check)
    assert (before["checkId"], before["orgId"], before["status"]) == (str(check), str(org.id), "queued")
    (got,) = watch.claim_checks()  # without any tick
    assert said(bilag, check)["status"] == "running"
    watch.settle_checks(checked(got, WELL))
    answer = said(bilag, check)
    assert answer["status"] == "done"
    assert answer["finishedAt"] is not None
    (one,) = answer["integrations"]
    assert set(one) == {"integrationType", "status", "latencyMs", "checkedAt", "error"}
    assert (one["integrationType"], one["status"], one["latencyMs"]) == ("xledger", "healthy", 42)


def test_a_request_while_one_is_under_way_or_a_minute_after_it_is_that_one(
    bilag: Bilag, org: Organisation, watch: HealthWorker
) -> None:
    first = ask(bilag, org)
    assert ask(bilag, org) == first
    watch.round(WELL)
    bilag.advance(seconds=59)
    assert ask(bilag, org) == first
    assert watch.claim_checks() == []
    bilag.advance(seconds=2)
    assert ask(bilag, org) != first
    assert len(watch.claim_checks()) == 1


def test_a_result_of_the_schedule_that_is_younger_than_a_minute_is_returned_as_it_is(
    bilag: Bilag, org: Organisation, watch: HealthWorker
) -> None:
    bilag.advance(minutes=15)
    watch.round(WELL)
    bilag.advance(seconds=30)
    assert said(bilag, ask(bilag, org))["status"] == "done"
    assert watch.claim_checks() == []


def test_a_request_checks_also_what_is_passive_or_not_due(bilag: Bilag, org: Organisation, watch: HealthWorker) -> None:
    bilag.type("other")
    org.integration("other", health_mode="passive")
    bilag.advance(minutes=15)
    assert watch.round(WELL) == ["xledger"]
    bilag.advance(minutes=2)
    ask(bilag, org)
    assert watch.round(WELL) == ["other", "xledger"]


def test_a_request_that_comes_while_a_round_is_under_way_gets_the_next_one_at_once(
    bilag: Bilag, org: Organisation, watch: HealthWorker
) -> None:
    bilag.advance(minutes=15)
    watch.tick()
    (got,) = watch.claim_checks()
    bilag.advance(seconds=5)
    check = ask(bilag, org)
    watch.settle_checks(checked(got, WELL))
    assert said(bilag, check)["status"] == "queued"
    (got,) = watch.claim_checks()
    watch.settle_checks(checked(got, WELL))
    assert said(bilag, check)["status"] == "done"


def test_a_request_survives_the_worker_that_put_it_down(bilag: Bilag, org: Organisation, watch: HealthWorker) -> None:
    check = ask(bilag, org)
    (got,) = watch.claim_checks()
    watch.settle_checks(checked(got, stopped=True))
    assert said(bilag, check)["status"] == "queued"
    (got,) = health_worker(bilag).claim_checks()
    watch.settle_checks(checked(got, WELL))
    assert said(bilag, check)["status"] == "done"


def test_finance_asks_members_read_and_strangers_are_told_nothing(bilag: Bilag, org: Organisation) -> None:
    finance, member, stranger = org.member(), org.member("member"), bilag.organisation("Other").member()
    with bilag.database.as_user(finance) as connection:
        (check,) = connection.execute("select bilag.request_health_check(%s)", [org.id]).fetchone() or (None,)
    with bilag.database.as_user(member) as connection:
        assert connection.execute("select bilag.health_check_status(%s)", [check]).fetchone() is not None
    for user, call, argument, code in (
        (member, "request_health_check", org.id, "KB003"),
        (stranger, "request_health_check", org.id, "KB003"),
        (stranger, "health_check_status", check, "KB002"),
        (member, "health_check_status", uuid4(), "KB002"),
    ):
        with bilag.database.as_user(user) as connection, pytest.raises(psycopg.Error) as caught:
            connection.execute(f"select bilag.{call}(%s)".encode(), [argument])
        assert caught.value.sqlstate == code


def test_an_organisation_with_nothing_to_check_is_told_so(bilag: Bilag, org: Organisation) -> None:
    bilag.database.sql("update bilag.integration_config set enabled = false")
    with pytest.raises(psycopg.Error) as caught:
        ask(bilag, org)
    assert caught.value.sqlstate == "KB004"
    assert "no enabled integration" in str(caught.value)


def test_requests_are_forgotten_after_a_day(bilag: Bilag, org: Organisation, watch: HealthWorker) -> None:
    check = ask(bilag, org)
    watch.round(WELL)
    bilag.advance(hours=25)
    watch.tick()
    with pytest.raises(psycopg.Error, match="kept for a day"):
        said(bilag, check)
