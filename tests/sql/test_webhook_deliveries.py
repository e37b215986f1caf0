"""Events on their way: tried on a ladder, told once, and waited for by nobody."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.fix_bilag import NOON, Bilag
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker
from tests.sql.hooks import SECRET, SET, URL, send_test, settle, take, take_one, told, waiting
from tests.sql.refusals import refused
from tests.sql.sessions import two_sessions

LADDER = [15, 60, 300, 900, 1800, 3600, 7200, 7200, 14400, 14400, 21600, 21600]


@pytest.fixture
def hook(bilag: Bilag) -> Bilag:
    bilag.database.sql(SET, URL, SECRET, None)
    return bilag


def test_what_arrived_is_gone_and_told_twice_changes_nothing(hook: Bilag, worker: FakeWorker) -> None:
    send_test(hook)
    event = take_one(worker)
    for _ in range(2):
        settle(worker, told(event, "delivered"))
    assert waiting(hook) == 0
    assert hook.database.sql("select delivered_at, failures from bilag.webhook") == [(NOON, 0)]


def test_what_fails_is_tried_on_the_ladder_and_then_set_aside(hook: Bilag, worker: FakeWorker) -> None:
    event_id = send_test(hook)
    for attempt, seconds in enumerate(LADDER, start=1):
        event = take_one(worker)
        assert (event["id"], event["attempt"]) == (event_id, attempt)
        settle(worker, told(event, "failed", message="HTTP 500"))
        hook.advance(seconds=seconds - 1)
        assert take(worker) == []
        hook.advance(seconds=1)
    settle(worker, told(take_one(worker), "failed", message="HTTP 500"))
    assert waiting(hook) == 0
    ((letter, reason, do),) = hook.database.sql("select id, reason, what_to_do from bilag.dead_letters")
    assert reason == "The webhook's receiver did not take the event in 13 attempts: HTTP 500"
    assert "redrive" in do
    kinds = {kind for (kind,) in hook.database.sql("select kind from bilag.open_alerts")}
    assert kinds == {"dead_letter", "webhook_failing"}
    assert hook.database.value("select bilag.redrive(%s)", letter) == f"webhook event {event_id}"
    again = {event["id"]: event for _ in range(3) for event in take(worker)}
    assert again[event_id]["attempt"] == 1, "under the same id"
    settle(worker, told(again[event_id], "delivered"))
    assert hook.database.sql("select kind from bilag.open_alerts") == []


def test_what_no_worker_reports_is_tried_again_when_its_lease_is_over(hook: Bilag, worker: FakeWorker) -> None:
    event_id = send_test(hook)
    late = take_one(worker)
    hook.advance(seconds=44)
    assert take(worker) == []
    hook.advance(seconds=1)
    again = take_one(worker)
    assert (again["id"], again["attempt"]) == (event_id, 2)
    settle(worker, told(late, "failed"))
    assert hook.database.value("select lease_until > %s from bilag.webhook_deliveries", NOON), "a late failure is old"
    settle(worker, told(late, "delivered"))
    assert waiting(hook) == 0, "a late success is one"


def test_what_a_stopping_worker_gives_back_is_due_at_once_and_does_not_count(hook: Bilag, worker: FakeWorker) -> None:
    send_test(hook)
    settle(worker, told(take_one(worker), "unsent"))
    assert take_one(worker)["attempt"] == 1


def test_a_receiver_may_ask_for_more_patience_but_not_for_less(hook: Bilag, worker: FakeWorker) -> None:
    send_test(hook)
    settle(worker, told(take_one(worker), "failed", retryAfterSeconds=120))
    hook.advance(seconds=119)
    assert take(worker) == []
    hook.advance(seconds=1)
    settle(worker, told(take_one(worker), "failed", retryAfterSeconds=1))
    hook.advance(seconds=59)
    assert take(worker) == []
    hook.advance(seconds=1)
    settle(worker, told(take_one(worker), "failed", retryAfterSeconds=10**9))
    due = hook.database.value("select due_at from bilag.webhook_deliveries")
    assert due == NOON + timedelta(seconds=180, hours=6)


def test_a_receiver_that_fails_is_asked_one_thing_at_a_time_until_one_arrives(hook: Bilag, worker: FakeWorker) -> None:
    for _ in range(6):
        send_test(hook)
    first = take(worker)
    assert len(first) == 6
    settle(worker, *(told(event, "failed", message="HTTP 503") for event in first))
    assert hook.database.sql("select kind, message from bilag.open_alerts") == [("webhook_failing", "HTTP 503")]
    hook.advance(seconds=15)
    probe = take_one(worker)
    settle(worker, told(probe, "delivered"))
    assert len(take(worker)) == 5
    assert hook.database.sql("select resolution from bilag.alerts") == [("an event arrived",)]


def test_that_the_webhook_fails_is_not_told_by_webhook(hook: Bilag, worker: FakeWorker) -> None:
    hook.database.sql("select bilag_internal.raise_alert('webhook_failing', 'webhook', null, null, 'x')")
    hook.database.sql("select bilag_internal.resolve_alert('webhook_failing', 'webhook', 'x')")
    assert hook.database.value("select bilag_internal.webhooks_queued()") == 0


def test_taking_and_settling_wait_for_nobody_who_holds_a_delivery(
    database: Database, hook: Bilag, worker: FakeWorker
) -> None:
    send_test(hook)
    event = take_one(worker)
    with two_sessions(database) as (person, _):
        person.run("select 1 from bilag.webhook_deliveries for update")
        person.run("select 1 from bilag.webhook for update")
        settle(worker, told(event, "delivered"))
        hook.advance(seconds=45)
        assert take(worker) == []
        person.commit()
    assert take_one(worker)["attempt"] == 2, "at least once"


def test_a_message_that_is_none_of_ours_is_set_aside_and_stops_nothing(hook: Bilag, worker: FakeWorker) -> None:
    for message in ('{"x": 1}', '"text"', '{"event_id": "1", "event": "webhook.test"}', "null", "[]"):
        hook.database.sql("select pgmq.send('bilag_webhooks', %s::jsonb)", message)
    bad = {"event_id": str(uuid4()), "event": "claims.changed", "item_ids": ["1; drop"], "integration_id": str(uuid4())}
    hook.database.sql("select pgmq.send('bilag_webhooks', %s)", Jsonb(bad))
    event = send_test(hook)
    assert [e["id"] for e in take(worker) if json.loads(e["body"])["type"] == "webhook.test"] == [event]
    assert hook.database.value("select count(*) from bilag.dead_letters") == 6
    assert hook.database.sql("select kind, problem_key from bilag.alerts") == [("dead_letter", "bilag_webhooks")]


def test_two_workers_never_have_the_same_event(hook: Bilag) -> None:
    for _ in range(10):
        send_test(hook)
    one, other = hook.worker(), hook.worker()
    taken = [event["id"] for event in take(one, 6) + take(other, 6)]
    assert len(taken) == len(set(taken)) == 10


def test_a_worker_of_another_environment_gets_no_event(hook: Bilag, worker: FakeWorker) -> None:
    send_test(hook)
    hook.database.sql("update bilag.installation set environment = 'staging'")
    with refused("KB011"):
        take(worker)


def test_a_draining_worker_waits_for_events(hook: Bilag, worker: FakeWorker) -> None:
    def left() -> dict[str, Any]:
        return dict(worker.call("select bilag_internal.work_left('{webhooks}')")[0])

    assert left() == {"due": 0, "inFlight": 0, "nextDueAt": None}
    send_test(hook)
    assert left()["due"] == 1
    event = take_one(worker)
    assert (left()["due"], left()["inFlight"]) == (0, 1)
    settle(worker, told(event, "failed"))
    assert (left()["due"], left()["inFlight"]) == (0, 0)
    hook.advance(seconds=15)
    assert left()["due"] == 1
