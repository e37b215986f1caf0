"""A webhook, and a worker that takes what is to be delivered there."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any, LiteralString

from psycopg.types.json import Jsonb

from tests.fix_bilag import Bilag
from tests.sql.fake_worker import FakeWorker

SET: LiteralString = "select bilag.set_webhook(%s, %s, %s)"
URL = "https://hooks.example.com/bilag"
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


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


def signature(secret: str, event: dict[str, Any]) -> str:
    """As a receiver computes it."""
    headers = event["headers"]
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{event['body']}".encode()
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
