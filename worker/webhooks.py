"""The errand of a webhook: one signed body to one receiver, once; what became of it goes back to the database.

The database made the body and signed it, and decides whether and when it is tried again. A receiver is a stranger: it
is called at public addresses only (or where BILAG_ALLOWED_HTTP_HOSTS says), its redirects are not followed, and of its
answer a little is read, within the time of one call.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from worker import telemetry
from worker.database import Database, Job
from worker.destinations import Destinations
from worker.errands import Trade, Unfinished
from worker.errors import AdapterError
from worker.http import Client
from worker.settings import Settings

QUEUE = "webhooks"
HANDS = 4
LARGEST_ANSWER = 64 * 1024
"""Bytes; what a receiver says beyond its status is for nobody, so a larger answer is as good."""
_SPARE_SECONDS = 5.0
_LEASE_FACTOR = 3


def deliveries(database: Database, settings: Settings) -> Trade:
    """Deliveries as errands of the queue ``webhooks``."""
    client = Client(
        timeout=settings.http_timeout_seconds, plain_hosts=settings.allowed_http_hosts, largest_answer=LARGEST_ANSWER
    )
    seconds = settings.http_timeout_seconds + _SPARE_SECONDS
    return Trade(
        queue=QUEUE,
        take=partial(database.take_webhooks, lease_seconds=round(seconds * _LEASE_FACTOR)),
        perform=partial(deliver, client),
        give_up=give_up,
        settle=partial(_settle, database),
        seconds=seconds,
        hands=HANDS,
    )


async def deliver(client: Client, event: Job) -> dict[str, Any]:
    """Send one event, and report: any 2xx is delivery, everything else is failure."""
    host = urlsplit(event["url"]).hostname
    try:
        await _refuse_private(client, event["url"])
        http = client.bind(UUID(event["id"]))
        answer = await http.send(
            "POST", event["url"], writes=True, headers=event["headers"], body=event["body"].encode()
        )
        status, message, wait = answer.status, f"HTTP {answer.status}", answer.retry_after
    except AdapterError as error:
        status, message, wait = error.http_status or 0, error.message, error.retry_after
    if 200 <= status < 300:
        telemetry.info("webhook.delivered", event_id=event["id"], host=host, attempt=event["attempt"])
        return _report(event, "delivered")
    if 300 <= status < 400:
        message = f"HTTP {status}: redirects are not followed"
    telemetry.warning("webhook.failed", event_id=event["id"], host=host, attempt=event["attempt"], message=message)
    return _report(event, "failed", message=message, retryAfterSeconds=wait)


async def _refuse_private(client: Client, url: str) -> None:
    """Ask the name first, so that a private address is not even connected to; the line itself checks once more.

    Raises AdapterError.
    """
    destinations = Destinations(plain=client.plain_hosts)
    destinations.permit(url)
    parts = urlsplit(url)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except OSError:
        return  # the call itself says it better
    for *_, address in found:
        destinations.permit_address(url, str(address[0]))


def give_up(event: Job, why: Unfinished) -> dict[str, Any]:
    """The report of a delivery that did not end: one that was stopped is due again at once, and does not count."""
    if why is Unfinished.STOPPED:
        return _report(event, "unsent")
    said = {Unfinished.DEADLINE: "no answer in time", Unfinished.BUG: "the worker failed"}[why]
    return _report(event, "failed", message=said)


def _report(event: Job, outcome: str, **more: Any) -> dict[str, Any]:
    return {"id": event["id"], "attempt": event["attempt"], "outcome": outcome, **more}


async def _settle(database: Database, reports: Sequence[Mapping[str, Any]]) -> list[Job]:
    await database.settle_webhooks(reports)
    return []
