"""One request on the line between a client and a fake accounting system, as a fault gets to see it.

A fault decides two things: whether the request is executed, and what the client sees of it. Both are verbs of
:class:`Exchange`, so that every fault is a few lines that read like what happens in the field
(``commit``, then ``cut``).
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived. Header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    operation: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_json(cls, status: int, value: object, headers: Mapping[str, str] | None = None) -> Answer:
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        return cls(status, body, {"content-type": "application/json; charset=utf-8", **(headers or {})})

    @classmethod
    def of_html(cls, status: int, html: str, headers: Mapping[str, str] | None = None) -> Answer:
        return cls(status, html.encode(), {"content-type": "text/html; charset=utf-8", **(headers or {})})

    def with_body(self, body: bytes) -> Answer:
        return replace(self, body=body)


_cables: dict[tuple[str, int], asyncio.Transport] = {}


class Cable(H11Protocol):
    """Uvicorn's connection, findable by its client's address, so that a fault can cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its parent does
        super().connection_made(transport)
        if self.client:
            _cables[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client:
            _cables.pop(self.client, None)
        super().connection_lost(exc)


class Cut(ConnectionResetError):
    """Where there is no real connection to cut (an in-process client), the request ends with this."""


class Exchange:
    """One request, and what may still be done with it."""

    def __init__(
        self, request: Request, scope: Scope, receive: Receive, send: Send, execute: Callable[[Request], Answer]
    ) -> None:
        self.request = request
        self._scope, self._receive, self._send, self._execute = scope, receive, send, execute

    def commit(self) -> Answer:
        """Execute the request in the accounting system. Its effects stay, whatever the client sees."""
        return self._execute(self.request)

    async def reply(self, answer: Answer, *, length: int | None = None) -> None:
        """Send the answer. ``length`` announces another Content-Length than the body has."""
        await self._start(answer, length if length is not None else len(answer.body))
        await self._send({"type": "http.response.body", "body": answer.body})

    async def drip(self, answer: Answer, *, seconds: float, pieces: int) -> None:
        """Send the answer in so many pieces, so many seconds apart."""
        await self._start(answer, len(answer.body))
        size = len(answer.body)
        for turn in range(pieces):
            await asyncio.sleep(seconds)
            piece = answer.body[turn * size // pieces : (turn + 1) * size // pieces]
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})

    async def reply_half(self, answer: Answer) -> None:
        """Send half of the body, then cut the cable."""
        await self._start(answer, len(answer.body))
        half = answer.body[: len(answer.body) // 2]
        await self._send({"type": "http.response.body", "body": half, "more_body": True})
        await asyncio.sleep(0.01)  # lets the half reach the client before the reset throws it away
        self.cut()

    async def hang(self) -> None:
        """Say nothing until the client gives up."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def cut(self) -> None:
        """Reset the connection (RST): the client sees it die at once."""
        transport = _cables.get(tuple(self._scope.get("client") or ()))
        if transport is None:
            raise Cut("the line was cut")
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    async def _start(self, answer: Answer, length: int) -> None:
        headers = {"content-length": str(length), **answer.headers}
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": answer.status, "headers": encoded})


async def read_request(scope: Scope, receive: Receive) -> Request | None:
    """The whole request, or ``None`` when its client left before it was complete."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
    query = scope.get("query_string", b"").decode()
    return Request(scope["method"], scope["path"], query, headers, bytes(body))
