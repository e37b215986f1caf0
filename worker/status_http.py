"""The worker's own small page: ``/livez``, ``/readyz`` and ``/metrics``, for orchestrators and Prometheus.

It answers GET and HEAD with a JSON body (or Prometheus text), one request per connection, and reads no more than a
request's head within two seconds. It says numbers and states, nothing of any tenant.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from worker import telemetry

_MOST_BYTES = 8192
_PATIENCE_SECONDS = 2.0
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}

Answer = tuple[int, str, str]
Probe = Callable[[], tuple[bool, Mapping[str, Any]]]


class StatusPage:
    """``alive`` and ``ready`` say whether, and what to show; ``metrics`` renders the numbers."""

    def __init__(self, alive: Probe, ready: Probe, metrics: Callable[[], str]) -> None:
        self._probes = {"/livez": alive, "/readyz": ready}
        self._metrics = metrics
        self._server: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> int | None:
        """Listen, and return the port. A taken address is said and survived: the work matters more than its page."""
        try:
            self._server = await asyncio.start_server(self._serve, host, port, limit=_MOST_BYTES)
        except OSError as error:
            telemetry.warning("status_page.refused", host=host, port=port, message=error.strerror or str(error))
            return None
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    def close(self) -> None:
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._respond(head))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    def _respond(self, head: bytes) -> bytes:
        method, _, rest = head.decode("latin-1").partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        status, media_type, body = self._answer(method, path)
        content = body.encode()
        lines = [
            f"HTTP/1.1 {status} {_REASONS[status]}",
            f"Content-Type: {media_type}",
            f"Content-Length: {len(content)}",
            "Cache-Control: no-store",
            "Connection: close",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if method == "HEAD" else content)

    def _answer(self, method: str, path: str) -> Answer:
        if method not in ("GET", "HEAD"):
            return 405, "application/json", _json({"status": "method not allowed"})
        if path == "/metrics":
            return 200, "text/plain; version=0.0.4; charset=utf-8", self._metrics()
        if probe := self._probes.get(path):
            good, facts = probe()
            return (200 if good else 503), "application/json", _json({"status": "ok" if good else "failing", **facts})
        return 404, "application/json", _json({"status": "not found"})


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value) + "\n"
