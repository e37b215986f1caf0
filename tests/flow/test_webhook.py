"""The webhook over real sockets: every event arrives, however its receiver behaves, and whoever is killed meanwhile."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from dev.fakes import XledgerFake
from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.receiver import Receiver
from tests.flow.stories import story


@contextmanager
def receiving(here: Installation, *events: str) -> Iterator[Receiver]:
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    with Receiver(here.folder / "receiver", secret) as receiver:
        here.database.sql("select bilag.set_webhook(%s, %s, %s)", receiver.url, secret, list(events) or None)
        yield receiver


def retry_soon(here: Installation) -> None:
    """The ladder's waits are rows that a DBA may change."""
    here.database.sql("update bilag.retry_schedule set wait = '0.3 s'")


@story()
def test_an_export_is_told_to_a_receiver_that_verifies_every_word(here: Installation, erp: XledgerFake) -> None:
    with receiving(here) as receiver:
        org = here.organisation(claims=7)
        run = org.request()
        assert here.worker("--drain").ended() == 0
        (ended,) = receiver.got("run.finished")
        booked = {
            claim["claimNumber"]
            for event in receiver.got("claims.changed")
            for claim in event["body"]["data"]["claims"]
            if claim["state"] == "exported"
        }
        told = receiver.got()
    assert (ended["body"]["data"]["runId"], ended["body"]["data"]["status"]) == (str(run), "succeeded")
    assert ended["body"]["data"]["orgId"] == str(org.id)
    assert len(booked) == 7
    assert all(request["verified"] and abs(request["age"]) < 300 for request in told)
    assert len({request["id"] for request in told}) == len(told)


@story(hasty=True)
def test_a_receiver_that_fails_in_every_way_gets_the_event_at_last_under_one_id(
    here: Installation, erp: XledgerFake
) -> None:
    with receiving(here) as receiver:
        retry_soon(here)
        ways = ("error", "redirect", "cut", "drip", "hang")
        receiver.moods(*ways, "ok")
        event = str(here.database.value("select bilag.test_webhook()"))
        here.worker()
        until("the event is taken", lambda: receiver.accepted("webhook.test"))
        until("the database knows", lambda: not here.database.value("select count(*) from bilag.webhook_deliveries"))
        told = receiver.got("webhook.test")
        assert [request["mood"] for request in told] == [*ways, "ok"]
        assert {request["id"] for request in told} == {event}
        assert all(request["verified"] for request in told)
        assert not [request for request in receiver.got() if request["mood"] == "followed"]
    assert here.database.sql(
        "select kind, resolution from bilag.alerts where kind = 'webhook_failing'"
    ) == [("webhook_failing", "an event arrived")]  # fmt: skip


@story(hasty=True)
def test_a_worker_that_is_killed_in_the_middle_of_a_delivery_loses_nothing(
    here: Installation, erp: XledgerFake
) -> None:
    with receiving(here) as receiver:
        receiver.moods("hang")
        event = str(here.database.value("select bilag.test_webhook()"))
        worker = here.worker(BILAG_HTTP_TIMEOUT_SECONDS="3")
        until("the delivery has begun", lambda: receiver.got("webhook.test"))
        worker.kill()
        receiver.moods("ok")
        here.database.advance(timedelta(minutes=2))
        here.worker()
        until("the event is taken", lambda: receiver.accepted("webhook.test"))
        assert [request["id"] for request in receiver.got("webhook.test")] == [event, event]


@story()
def test_a_receiver_that_hangs_is_in_nobodys_way(here: Installation, erp: XledgerFake) -> None:
    with receiving(here) as receiver:
        receiver.moods("hang")
        org = here.organisation(claims=10)
        here.worker()
        for _ in range(3):
            here.database.sql("select bilag.test_webhook()")
        until("its hands are full", lambda: len(receiver.got("webhook.test")) >= 3)
        org.approve(10, prefix="D")
        run = org.request()
        assert org.until_ended(run)["status"] == "succeeded"
        assert not receiver.accepted("run.finished")


@story()
def test_a_worker_that_serves_exports_alone_leaves_the_events_to_others(here: Installation, erp: XledgerFake) -> None:
    with receiving(here, "run.finished") as receiver:
        org = here.organisation(claims=1)
        org.request()
        assert here.worker("--drain", "--queues", "exports").ended() == 0
        assert receiver.got() == []
        assert here.worker("--drain", "--queues", "webhooks").ended() == 0
        assert len(receiver.accepted("run.finished")) == 1
