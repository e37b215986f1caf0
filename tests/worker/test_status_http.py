"""The worker's own page: live, ready, numbers; small, bounded, and silent about tenants."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from worker.status_http import StatusPage

pytestmark = pytest.mark.anyio


class Served:
    def __init__(self) -> None:
        self.ready = True
        self.page = StatusPage(lambda: (True, {}), lambda: (self.ready, {"running": 2}), lambda: "bilag_up 1\n")
        self.port = 0

    async def ask(self, request: bytes) -> tuple[int, dict[str, str], str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        head, _, body = answer.decode().partition("\r\n\r\n")
        status, *lines = head.split("\r\n")
        return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body

    async def get(self, path: str, method: str = "GET") -> tuple[int, dict[str, str], str]:
        return await self.ask(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    made = Served()
    port = await made.page.open("127.0.0.1", 0)
    assert port
    made.port = port
    yield made
    made.page.close()


async def test_a_health_request_is_answered_with_200_and_json(served: Served) -> None:
    status, headers, body = await served.get("/livez")
    assert (status, headers["content-type"], json.loads(body)) == (200, "application/json", {"status": "ok"})


async def test_a_worker_without_its_database_is_alive_but_not_ready(served: Served) -> None:
    served.ready = False
    assert (await served.get("/livez"))[0] == 200
    status, _, body = await served.get("/readyz")
    assert (status, json.loads(body)) == (503, {"status": "failing", "running": 2})


async def test_the_numbers_are_prometheus_text(served: Served) -> None:
    status, headers, body = await served.get("/metrics")
    assert (status, body) == (200, "bilag_up 1\n")
    assert headers["content-type"].startswith("text/plain; version=0.0.4")


async def test_head_has_no_body_and_a_query_is_ignored(served: Served) -> None:
    status, headers, body = await served.get("/livez?verbose=1", "HEAD")
    assert (status, body) == (200, "")
    assert int(headers["content-length"]) > 0


@pytest.mark.parametrize(("method", "path", "expected"), [("GET", "/", 404), ("POST", "/livez", 405), ("X", "", 405)])
async def test_anything_else_is_refused(served: Served, method: str, path: str, expected: int) -> None:
    assert (await served.get(path, method))[0] == expected


async def test_a_request_that_is_too_long_or_never_ends_is_dropped(served: Served) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(b"GET /" + b"x" * 20_000)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_a_taken_address_is_survived(served: Served) -> None:
    second = StatusPage(lambda: (True, {}), lambda: (True, {}), str)
    assert await second.open("127.0.0.1", served.port) is None
    second.close()
