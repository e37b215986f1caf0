"""What the line did: whether a request left us, which fault an exception is, how long we are asked to wait.

httpx's exceptions are told apart by name, so that this file does not import it.
"""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from worker.faults import Fault

LONGEST_WAIT = 6 * 3600.0
"""Seconds; a wait that a server asks for counts as this at the most."""


class OnTheLine(Exception):
    """What httpx or the operating system said. Shown by its type only: its text may quote what was sent."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(type(cause).__name__)
        self.cause = cause


class Wire:
    """What is known of one request on its way, from httpcore's trace: whether any of it has left us, and to where.

    ``permit`` is asked about the address once a connection to ``host`` stands, before anything is sent over it; a
    connection to a proxy is the operator's own. It raises what ends the request. ``on_connect`` is told that there was
    no connection yet.
    """

    def __init__(
        self,
        host: str = "",
        permit: Callable[[str], None] = lambda _address: None,
        on_connect: Callable[[str], None] = lambda _host: None,
    ) -> None:
        self._host, self._permit, self._on_connect = host, permit, on_connect
        self._traced = self._sent = self._direct = False

    async def note(self, event: str, info: Any) -> None:
        self._traced = True
        self._sent = self._sent or event.endswith("send_request_headers.started")
        if event == "connection.connect_tcp.started":
            self._direct = str(info.get("host")).strip("[]") == self._host
            self._on_connect(self._host)
        elif event == "connection.connect_tcp.complete" and self._direct:
            await self._inspect(info["return_value"])

    async def _inspect(self, stream: Any) -> None:
        peer = stream.get_extra_info("server_addr")
        try:
            self._permit(str(peer[0]) if peer else "0.0.0.0")  # noqa: S104 - no address is not a good one
        except BaseException:
            await stream.aclose()
            raise

    @property
    def is_unsent(self) -> bool:
        """Surely nothing was sent. A transport that does not trace is taken to have sent everything."""
        return self._traced and not self._sent


_FAULTS = {
    "ConnectError": Fault.CONNECT,
    "ConnectTimeout": Fault.CONNECT_TIMEOUT,
    "PoolTimeout": Fault.CONNECT_TIMEOUT,
    "ReadTimeout": Fault.TIMEOUT,
    "WriteTimeout": Fault.TIMEOUT,
    "DecodingError": Fault.NOT_JSON,
}
_BEFORE_SENDING = {Fault.TIMEOUT: Fault.CONNECT_TIMEOUT, Fault.NETWORK: Fault.CONNECT}


def fault_of(error: Exception | None, wire: Wire) -> Fault:
    """The row of the table for what httpx or the operating system raised; ``None`` stands for our own timeout."""
    fault = _FAULTS.get(type(error).__name__, Fault.NETWORK) if error is not None else Fault.TIMEOUT
    if any(isinstance(cause, socket.gaierror) for cause in _causes(error)):
        return Fault.DNS
    return _BEFORE_SENDING.get(fault, fault) if wire.is_unsent else fault


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """The seconds to wait that a Retry-After header asks for: a number or an HTTP date; ``None`` if it is neither.

    The third form of an HTTP date, asctime's, names no zone: all of them are GMT (RFC 9110, 5.6.7).
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except (ValueError, OverflowError):  # OverflowError: a year that no calendar has
            return None
        seconds = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT) if math.isfinite(seconds) else None
