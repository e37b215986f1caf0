"""What ``bilag doctor`` asks about the webhook: that its receiver may be called, can be reached, and takes events."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from worker.cli.connections import connected
from worker.cli.told import Told
from worker.destinations import Destinations
from worker.errors import AdapterError
from worker.settings import Settings

_PATIENCE_SECONDS = 5.0
_HOOK = """
    select w.url, w.enabled, w.delivered_at, w.failing_since, w.last_error,
      bilag_internal.webhook_secret() is not null,
      bilag_internal.webhooks_queued() + (select count(*) from bilag.webhook_deliveries)
    from bilag.webhook w"""


def webhook(settings: Settings) -> str:
    """Nothing is sent to the receiver; a connection is opened and closed."""
    with connected(settings.owner_url) as connection:
        row = connection.execute(_HOOK).fetchone()
    if row is None:
        return "none is set"
    url, enabled, delivered_at, failing_since, last_error, has_secret, waiting = row
    if not has_secret:
        raise Told("The webhook's secret is not in Vault.")
    if not enabled:
        return f"it is disabled, and {waiting} events wait"
    host = urlsplit(url).hostname or ""
    with _told(host):
        _reach(url, Destinations(plain=settings.allowed_http_hosts))
    if failing_since:
        raise Told(
            f"{host} has not taken an event since {failing_since:%Y-%m-%d %H:%M %Z}, {waiting} wait: {last_error}."
        )
    last = f"the last event arrived at {delivered_at:%Y-%m-%d %H:%M %Z}" if delivered_at else "no event was sent yet"
    return f"{host} can be reached; {last}"


def _reach(url: str, destinations: Destinations) -> None:
    """Raises AdapterError when a worker like this one would refuse to call it, OSError when it does not answer."""
    destinations.permit(url)
    parts = urlsplit(url)
    place = (parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443))
    for *_, address in socket.getaddrinfo(place[0], place[1], type=socket.SOCK_STREAM):
        destinations.permit_address(url, str(address[0]))
    with socket.create_connection(place, timeout=_PATIENCE_SECONDS) as line:
        if parts.scheme == "https":
            ssl.create_default_context().wrap_socket(line, server_hostname=parts.hostname).close()


@contextmanager
def _told(host: str) -> Iterator[None]:
    try:
        yield
    except AdapterError as error:
        raise Told(f"Workers refuse to call the webhook: {error.message}") from None
    except OSError as error:
        raise Told(f"The webhook's receiver {host} cannot be reached: {error.strerror or error}") from None
