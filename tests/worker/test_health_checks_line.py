"""A check that is cut leaves no connection behind: on a real line."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.worker.bench import Bench, well
from worker import health_checks
from worker.contract import Call, HealthResult
from worker.http import Client

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return "asyncio"


async def test_a_check_that_is_cut_really_closes_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_checks, "CHECK_SECONDS", 0.3)
    connected, closed = asyncio.Event(), asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        while await reader.read(1024):
            pass
        closed.set()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def ask(call: Call) -> HealthResult:
        await call.http.send("GET", f"http://127.0.0.1:{port}/", writes=False)
        return well()

    bench = Bench(mute=ask)
    client = Client(plain_hosts=frozenset({f"127.0.0.1:{port}"}))
    checks = health_checks.HealthChecks(bench._load, client, bench._credentials, bench.attempts)
    report = await checks.run_health_checks(bench.errand)
    assert report["checks"][0]["status"] == "unreachable"
    assert connected.is_set()
    async with asyncio.timeout(5):
        await closed.wait()
    await client.aclose()
    server.close()
