"""The one HTTP client of the process, and the boundary at which what happened on the line becomes our error.

Redirects are never followed, cookies never kept (one client serves all organisations), bodies never read beyond a
limit, and a request ends with its answer within its timeout, however slowly that drips. Nothing here logs.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from worker.destinations import Destinations
from worker.errors import AdapterError, Executed, Misconfigured
from worker.faults import Fault, Rows, failure, key_of
from worker.wire import OnTheLine, Wire, fault_of, retry_after

if TYPE_CHECKING:
    import httpx

CORRELATION_HEADER = "X-Correlation-ID"
LARGEST_ANSWER = 8 * 1024 * 1024
"""Bytes of an answer that are read; a larger one is :data:`Fault.TOO_LARGE`."""
_KEPT_WARM_SECONDS = 120.0
"""How long an idle connection is kept for the next call: handshakes are most of what a short call costs."""
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?")


class Client:
    """The process's connections. Opened at the first request, closed by :meth:`aclose`.

    ``plain_hosts`` (``host`` or ``host:port``) may be called over plain http. ``timeout`` is in seconds, for a whole
    request. ``transport`` replaces the network in tests. ``on_connect`` is told of each connection that a request had
    to open, and to which host.
    """

    def __init__(
        self,
        *,
        timeout: float = 10.0,
        plain_hosts: frozenset[str] = frozenset(),
        largest_answer: int = LARGEST_ANSWER,
        transport: httpx.AsyncBaseTransport | None = None,
        on_connect: Callable[[str], None] = lambda _host: None,
    ) -> None:
        self.timeout = timeout
        self.on_connect = on_connect
        self.plain_hosts = frozenset(host.lower() for host in plain_hosts)
        self.largest_answer = largest_answer
        self._transport = transport
        self._opened: httpx.AsyncClient | None = None

    def bind(
        self, correlation_id: UUID, announced: Collection[str] | None = None, allowed: Collection[str] = ()
    ) -> Http:
        """What one invocation calls with: hosts that its adapter announced (``None``: any), and others."""
        return Http(self, correlation_id, Destinations(announced, allowed, self.plain_hosts))

    async def aclose(self) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.aclose()

    def opened(self) -> httpx.AsyncClient:
        self._opened = self._opened or self._open()
        return self._opened

    def _open(self) -> httpx.AsyncClient:
        from http.cookiejar import CookieJar, DefaultCookiePolicy

        import httpx  # costs 0.2 s, so not before it is needed

        connecting = self.timeout / 2  # a connection that fails leaves time to say so
        return httpx.AsyncClient(
            transport=self._transport,
            # Plain http goes to stand-ins only: those are never behind a proxy, and have no certificate to verify.
            mounts={} if self._transport else {"http://": httpx.AsyncHTTPTransport(verify=False)},
            timeout=httpx.Timeout(self.timeout, connect=connecting, pool=connecting),
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=_KEPT_WARM_SECONDS),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers={"User-Agent": "bilag"},
            follow_redirects=False,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. Of its headers only ``retry_after`` is kept, in seconds."""

    status: int
    body: bytes
    retry_after: float | None
    writes: bool
    rows: Rows | None = None

    def json(self) -> Any:
        """The body, whatever the status: many systems put their errors there. Fractions come as ``Decimal``.

        When it is not JSON: raises the status's error, or Malformed if the status is good.
        """
        try:
            return json.loads(self.body, parse_float=Decimal)
        except (ValueError, RecursionError):
            if self.status >= 300:
                raise self.error() from None
            raise self.failure(Fault.NOT_JSON, "the answer is not JSON") from None

    def error(self, message: str | None = None) -> AdapterError:
        """What this answer's status means, in the words of the table."""
        key = key_of(self.status, self.retry_after)
        return self.failure(key, message or f"HTTP {self.status}", retry_after=self.retry_after)

    def failure(self, key: int | Fault, message: str, **facts: Any) -> AdapterError:
        return failure(key, message, writes=self.writes, rows=self.rows, http_status=self.status, **facts)


class Http:
    """HTTP for one invocation: every request carries its correlation id."""

    def __init__(self, client: Client, correlation_id: UUID, destinations: Destinations) -> None:
        self._client = client
        self._correlation_id = correlation_id
        self._destinations = destinations

    async def send(
        self,
        method: str,
        url: str,
        *,
        writes: bool,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        rows: Rows | None = None,
        auth: httpx.Auth | None = None,
    ) -> Answer:
        """Send one request, once, and read its whole answer, whatever its status.

        ``body`` is sent as JSON, bytes as they are; ``writes`` picks the table's column, ``rows`` the adapter's own.
        Raises AdapterError when there is no answer, or when the settings forbid the call; and what ``auth`` raises.
        """
        self._destinations.permit(url)
        request = self._build(method, url, headers or {}, body)
        wire = Wire(request.url.host, partial(self._destinations.permit_address, url), self._client.on_connect)
        request.extensions["trace"] = wire.note
        try:
            async with asyncio.timeout(self._client.timeout):
                status, content, wait = await self._exchange(request, auth)
        except OnTheLine as error:
            key = fault_of(error.cause, wire)
            raise failure(key, f"{key} ({error})", writes=writes, rows=rows) from None
        except TimeoutError:
            key, limit = fault_of(None, wire), self._client.timeout
            raise failure(key, f"no answer within {limit:g} seconds", writes=writes, rows=rows) from None
        answer = Answer(status, content or b"", wait, writes, rows)
        if content is None:
            raise answer.failure(Fault.TOO_LARGE, f"the answer has more than {self._client.largest_answer} bytes")
        return answer

    def _build(self, method: str, url: str, headers: Mapping[str, str], body: Any) -> httpx.Request:
        sent = {**headers, CORRELATION_HEADER: str(self._correlation_id)}
        for name, value in sent.items():
            if not _HEADER_VALUE.fullmatch(value):  # said without the value: it may be a secret
                raise Misconfigured(f"the header {name} has characters that HTTP cannot carry", executed=Executed.NO)
        form = {"content" if isinstance(body, bytes) else "json": body}
        return self._client.opened().build_request(method, url, headers=sent, **form)

    async def _exchange(self, request: httpx.Request, auth: Any) -> tuple[int, bytes | None, float | None]:
        """Status, body (``None`` if it is too large) and wait. Raises OnTheLine for whatever the line did."""
        import httpx

        try:
            response = await self._client.opened().send(request, stream=True, auth=auth)
            try:
                content = await self._read(response)
            finally:
                await response.aclose()
        except (httpx.HTTPError, OSError) as error:
            raise OnTheLine(error) from None
        return response.status_code, content, retry_after(response.headers.get("retry-after"))

    async def _read(self, response: httpx.Response) -> bytes | None:
        content = bytearray()
        async for piece in response.aiter_bytes():
            content += piece
            if len(content) > self._client.largest_answer:
                return None
        return bytes(content)
