"""The webhook: who sets it, how it is signed, and how each event is delivered at least once, on a clock that we own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from datetime import timedelta
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused
from tests.sql.sessions import two_sessions

SET: LiteralString = "select bilag.set_webhook(%s, %s, %s)"
URL = "https://hooks.example.com/bilag"
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
LADDER = [15, 60, 300, 900, 1800, 3600, 7200, 7200, 14400, 14400, 21600, 21600]


@pytest.fixture
def hook(bilag: Bilag) -> Bilag:
    bilag.database.sql(SET, URL, SECRET, None)
    return bilag


def take(worker: FakeWorker, quantity: int = 10) -> list[dict[str, Any]]:
    return worker.call("select bilag_internal.take_webhooks(%s, %s, 45)", worker.id, quantity)


def settle(worker: FakeWorker, *reports: dict[str, Any]) -> None:
    worker.call("select bilag_internal.settle_webhooks(%s, %s)", worker.id, Jsonb(list(reports)))


def told(event: dict[str, Any], outcome: str, **more: Any) -> dict[str, Any]:
    return {"id": event["id"], "attempt": event["attempt"], "outcome": outcome, **more}


def send_test(bilag: Bilag) -> str:
    return str(bilag.database.value("select bilag.test_webhook()"))


def take_one(worker: FakeWorker) -> dict[str, Any]:
    (event,) = take(worker)
    return event


def waiting(bilag: Bilag) -> int:
    return int(bilag.database.value("select count(*) from bilag.webhook_deliveries"))


# --- setting it ---


def test_what_is_no_url_no_event_or_no_secret_is_refused_in_a_sentence(bilag: Bilag) -> None:
    for url in ("ftp://x.example", "https://user:pw@x.example/", "nonsense", "https://"):
        with refused("KB001", "url is not an http(s) URL"):
            bilag.database.sql(SET, url, SECRET, None)
    for events in (["nothing"], [], ["run.finished", None]):
        with refused("KB001", "unknown event"):
            bilag.database.sql(SET, URL, SECRET, events)
    for secret, why in (
        (None, "no secret yet"),
        ("short", "shorter"),
        ("whsec_not base64 at all, is it", "not base64"),
    ):
        with refused("KB001", why):
            bilag.database.sql(SET, URL, secret, None)
    assert bilag.database.value("select count(*) from bilag.webhook") == 0


def test_the_secret_is_in_vault_and_kept_when_none_is_given(hook: Bilag) -> None:
    hook.database.sql(SET, URL + "/2", None, ["run.finished"])
    assert hook.database.sql("select url, events from bilag.webhook") == [(URL + "/2", ["run.finished"])]
    assert hook.database.value("select bilag_internal.webhook_secret()") == SECRET
    assert SECRET not in str(hook.database.sql("select to_jsonb(w) from bilag.webhook w"))


def test_service_sets_it_and_a_person_may_neither_set_nor_see_it(bilag: Bilag, org: Organisation) -> None:
    with bilag.database.as_user(uuid4(), "service_role") as connection:
        connection.execute(SET, [URL, SECRET, None])
        assert connection.execute("select url from bilag.webhook").fetchall() == [(URL,)]
        connection.execute("update bilag.webhook set enabled = false")
    for query in ("select bilag.set_webhook(null)", "select bilag.test_webhook()", "select 1 from bilag.webhook"):
        with bilag.database.as_user(org.member()) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(query.encode())
    with refused("KB004", "no webhook"):
        bilag.database.sql("select bilag.test_webhook()")


def test_without_a_webhook_nothing_is_sent_and_removing_it_drops_what_waits(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    bilag.database.sql("select bilag_internal.raise_alert('doubled', 'a', %s, 'xledger', 'x')", org.id)
    assert bilag.database.value("select bilag_internal.webhooks_queued()") == 0
    bilag.database.sql(SET, URL, SECRET, None)
    send_test(bilag)
    take(worker)
    send_test(bilag)
    bilag.database.sql("select bilag.set_webhook(null)")
    assert (waiting(bilag), bilag.database.value("select bilag_internal.webhooks_queued()")) == (0, 0)
    assert take(worker) == []


def test_what_is_disabled_waits(hook: Bilag, worker: FakeWorker) -> None:
    event = send_test(hook)
    hook.database.sql("update bilag.webhook set enabled = false")
    assert take(worker) == []
    hook.database.sql("update bilag.webhook set enabled = true")
    assert take_one(worker)["id"] == event


# --- signing ---


def signature(secret: str, event: dict[str, Any]) -> str:
    """As a receiver computes it."""
    headers = event["headers"]
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{event['body']}".encode()
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


@pytest.mark.parametrize("secret", [SECRET, "plain text of twenty-four and more, æøå", "x" * 200])
def test_a_receiver_computes_the_same_signature(bilag: Bilag, worker: FakeWorker, secret: str) -> None:
    bilag.database.sql(SET, URL, secret, None)
    event_id = send_test(bilag)
    event = take_one(worker)
    assert event["headers"]["webhook-signature"] == signature(secret, event)
    assert event["headers"]["webhook-timestamp"] == str(int(NOON.timestamp()))
    body = json.loads(event["body"])
    assert (event["headers"]["webhook-id"], body["id"], body["type"]) == (event_id, event_id, "webhook.test")
    assert body["environment"] == "development"


def test_hmac_is_that_of_the_rfc(catalogue: Database) -> None:
    for _ in range(20):
        key, message = os.urandom(os.urandom(1)[0]), os.urandom(os.urandom(1)[0])
        ours = catalogue.value("select bilag_internal.hmac_sha256(%s, %s)", key, message)
        assert ours == hmac.new(key, message, hashlib.sha256).digest()


# --- at least once ---


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


# --- without a worker ---


def with_pg_net(bilag: Bilag) -> None:
    """As far as our functions can see."""
    bilag.database.sql("create schema net")
    bilag.database.sql("create table net.sent (url text, body jsonb, headers jsonb)")
    bilag.database.sql(
        "create function net.http_post(url text, body jsonb, params jsonb, headers jsonb, timeout_milliseconds integer)"
        " returns bigint language sql as 'insert into net.sent values (url, body, headers) returning 1::bigint'"
    )


def work_without_a_worker(bilag: Bilag, org: Organisation) -> None:
    org.claim("C-1")
    org.request()
    bilag.advance(minutes=2)


def test_no_worker_goes_out_by_pg_net_signed_and_under_the_id_that_a_worker_will_use(
    hook: Bilag, org: Organisation
) -> None:
    with_pg_net(hook)
    work_without_a_worker(hook, org)
    for _ in range(20):
        hook.database.sql("select bilag_internal.tick()")
    sent = hook.database.sql("select url, body::text, headers from net.sent")
    assert len(sent) == 3, "at its first, fifth and fifteenth sign"
    for url, body, headers in sent:
        assert (url, headers["webhook-signature"]) == (URL, signature(SECRET, {"headers": headers, "body": body}))
        assert json.loads(body)["data"]["kind"] == "no_worker"
    worker = hook.worker()
    ids = {event["id"] for event in take(worker) if json.loads(event["body"])["data"].get("kind") == "no_worker"}
    assert {sent[0][2]["webhook-id"]} == ids


def test_pg_net_is_not_needed_and_its_faults_stop_no_tick(hook: Bilag, org: Organisation) -> None:
    work_without_a_worker(hook, org)
    hook.database.sql("select bilag_internal.tick()")
    with_pg_net(hook)
    hook.database.sql("drop table net.sent")
    hook.database.sql("update bilag.alerts set count = 4")
    hook.database.sql("select bilag_internal.tick()")
    assert hook.database.sql("select kind, count from bilag.open_alerts") == [("no_worker", 5)]


@pytest.mark.parametrize(
    "url", ["http://hooks.example.com/", "https://10.0.0.1/", "https://[::1]/", "https://localhost/x"]
)
def test_pg_net_goes_to_names_over_https_only(hook: Bilag, org: Organisation, url: str) -> None:
    with_pg_net(hook)
    hook.database.sql(SET, url, None, None)
    work_without_a_worker(hook, org)
    hook.database.sql("select bilag_internal.tick()")
    assert hook.database.value("select count(*) from net.sent") == 0
