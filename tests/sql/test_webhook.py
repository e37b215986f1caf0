"""The webhook: who sets it, what it refuses, and how what it sends is signed."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from uuid import uuid4

import psycopg
import pytest

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker
from tests.sql.hooks import SECRET, SET, URL, send_test, signature, take, take_one, waiting
from tests.sql.refusals import refused


@pytest.fixture
def hook(bilag: Bilag) -> Bilag:
    bilag.database.sql(SET, URL, SECRET, None)
    return bilag


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
