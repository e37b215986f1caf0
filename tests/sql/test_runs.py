"""How a run is asked for: by function, by key, by a plain INSERT; and where its cutoff lies."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused


def runs(org: Organisation) -> list[tuple[Any, ...]]:
    return org.database.sql("select id from bilag.export_runs where org_id = %s order by enqueued_at, id", org.id)


def test_the_same_key_is_the_same_run_for_ever(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    run = org.request(key="2026-02")
    assert org.request(key="2026-02") == run
    worker.work()
    assert org.status(run)["status"] == "succeeded"
    assert org.request(key="2026-02") == run
    assert len(runs(org)) == 1


def test_a_key_that_was_used_for_another_period_is_refused(org: Organisation) -> None:
    org.request(date(2026, 2, 28), key="february")
    with refused("KB005", "'february' was used for the period ending 2026-02-28"):
        org.request(date(2026, 3, 31), key="february")
    with refused("KB005"):
        org.request(key="february")
    assert len(runs(org)) == 1


def test_an_empty_key_is_refused_however_the_run_is_asked_for(org: Organisation) -> None:
    for key in ("", "  "):
        with refused("KB001", "idempotency_key is empty"):
            org.request(key=key)
        with refused("KB001", "idempotency_key is empty"):
            org.database.sql(
                "insert into bilag.export_runs (org_id, integration_type, idempotency_key) values (%s, 'xledger', %s)",
                org.id, key,
            )  # fmt: skip


def test_a_key_belongs_to_one_integration(bilag: Bilag, org: Organisation) -> None:
    other = bilag.organisation("Other")
    assert org.request(key="k") != other.request(key="k")


def test_an_unkeyed_request_while_one_is_queued_is_that_one(org: Organisation) -> None:
    run = org.request()
    assert org.request() == run
    assert len(runs(org)) == 1


def test_the_queued_run_that_is_returned_covers_what_was_approved_since(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    run = org.request()
    bilag.advance(minutes=5)
    org.claim("C-1")
    assert org.request() == run
    worker.work()
    assert org.states() == {"C-1": "exported"}


def test_an_unkeyed_request_of_another_period_or_after_a_start_is_another_run(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    run = org.request()
    bilag.advance(seconds=1)
    assert org.request(date(2026, 3, 31)) != run
    worker.claim()
    assert org.request() != run
    assert len(runs(org)) == 3


def test_a_keyed_run_is_not_what_an_unkeyed_request_gets(org: Organisation) -> None:
    keyed = org.request(key="mine")
    assert org.request() != keyed


def test_a_plain_insert_queues_a_run(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.database.sql("insert into bilag.export_runs (org_id, integration_type) values (%s, 'xledger')", org.id)
    worker.work()
    assert org.states() == {"C-1": "exported"}


def test_an_inserter_says_nothing_about_progress(org: Organisation) -> None:
    ((run,),) = org.database.sql(
        "insert into bilag.export_runs (org_id, integration_type, status, finished_at, due_at, cutoff_at, failures)"
        " values (%s, 'xledger', 'succeeded', now(), 'infinity', now(), 7) returning id",
        org.id,
    )
    assert org.status(run)["status"] == "queued"
    facts = org.database.sql("select finished_at, due_at, failures, trigger from bilag.export_runs")
    assert facts == [(None, NOON, 0, "insert")]


def test_a_run_without_such_an_integration_is_refused(org: Organisation) -> None:
    with refused("KB002", "no integration of type 'sap'"):
        org.request(kind="sap")
    with refused("KB002"):
        org.database.sql("insert into bilag.export_runs (org_id, integration_type) values (%s, 'xledger')", uuid4())


def test_a_disabled_integration_takes_no_request_and_keeps_an_inserted_run_until_it_is_enabled(
    org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.database.sql("update bilag.integration_config set enabled = false")
    with refused("KB004", "disabled"):
        org.request()
    ((run,),) = org.database.sql(
        "insert into bilag.export_runs (org_id, integration_type) values (%s, 'xledger') returning id", org.id
    )
    assert worker.claim() == []
    assert org.status(run)["waitingFor"]["reasonCode"] == "integration_disabled"
    org.database.sql("update bilag.integration_config set enabled = true")
    worker.work()
    assert org.states() == {"C-1": "exported"}


@pytest.mark.parametrize(
    ("time_zone", "last_moment"),
    [
        ("Europe/Oslo", datetime(2026, 2, 28, 23, 0, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 3, 1, 5, 0, tzinfo=UTC)),
        ("Pacific/Auckland", datetime(2026, 2, 28, 11, 0, tzinfo=UTC)),
    ],
)
def test_a_period_ends_at_midnight_where_the_organisation_is(
    bilag: Bilag, time_zone: str, last_moment: datetime
) -> None:
    org = bilag.organisation(time_zone=time_zone)
    org.database.sql("update bilag.integration_config set export_from = '-infinity'")
    org.claim("in", approved_at=last_moment - timedelta(microseconds=1))
    org.claim("out", approved_at=last_moment)
    org.request(date(2026, 2, 28))
    bilag.worker().work()
    assert org.states() == {"in": "exported"}


def test_the_cutoff_is_fixed_when_the_run_is_made(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("in")
    org.request(key="k")
    bilag.advance(seconds=1)
    org.claim("out")
    worker.work()
    assert org.states() == {"in": "exported"}


def test_claims_approved_before_export_from_are_not_ours(bilag: Bilag, worker: FakeWorker) -> None:
    org = bilag.organisation()
    org.claim("before", approved_at=NOON - timedelta(microseconds=1))
    org.claim("since", approved_at=NOON)
    org.request()
    worker.work()
    assert org.states() == {"since": "exported"}


def test_what_an_earlier_period_left_goes_along(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("late")
    bilag.advance(days=40)
    org.claim("new")
    org.request(date(2026, 4, 30))
    worker.work()
    assert org.states() == {"late": "exported", "new": "exported"}


def test_a_run_without_claims_succeeds_with_nothing(org: Organisation, worker: FakeWorker) -> None:
    run = org.request()
    assert worker.claim() == []
    status = org.status(run)
    assert (status["status"], status["claims"]["total"], status["progress"]) == ("succeeded", 0, 1)


def test_the_audit_says_who_asked(bilag: Bilag, org: Organisation) -> None:
    person = org.member()
    with bilag.database.as_user(person) as connection:
        connection.execute("select bilag.request_export(%s, 'xledger', null, 'k')", [org.id])
    ((action, user, details),) = bilag.database.sql(
        "select action, user_id, details from bilag.bufdir_export_audit_log"
    )
    assert (action, user, details) == ("run.requested", person, {"periodEnd": None, "idempotencyKey": "k"})
    assert bilag.database.value("select requested_by from bilag.export_runs") == person


def test_an_unknown_run_is_refused_by_every_function_that_takes_one(bilag: Bilag) -> None:
    for function in ("export_status", "export_report", "cancel_export", "retry_export"):
        with refused("KB002", "There is no run"):
            bilag.database.connect().execute(f"select bilag.{function}(gen_random_uuid())".encode())


def test_a_plain_insert_with_a_used_key_is_refused_by_the_index(org: Organisation) -> None:
    org.request(key="k")
    with pytest.raises(psycopg.errors.UniqueViolation, match="a_key_is_used_once_for_ever"):
        org.database.sql(
            "insert into bilag.export_runs (org_id, integration_type, idempotency_key) values (%s, 'xledger', 'k')",
            org.id,
        )
