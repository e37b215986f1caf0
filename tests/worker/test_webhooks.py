"""One delivery: what counts as arrived, what does not, and where a webhook never goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from worker.errands import Unfinished
from worker.http import Client
from worker.webhooks import LARGEST_ANSWER, deliver, give_up

pytestmark = pytest.mark.anyio

URL = "https://hooks.example.com/bilag?token=secret-path"


def event(url: str = URL, **more: Any) -> dict[str, Any]:
    headers = {
        "webhook-id": "e1",
        "webhook-timestamp": "1",
        "webhook-signature": "v1,abc",
        "Content-Type": "application/json",
    }
    return {"id": str(uuid4()), "attempt": 2, "url": url, "headers": headers, "body": '{"å": 1}', **more}


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> Client:
    return Client(timeout=0.5, largest_answer=LARGEST_ANSWER, transport=httpx.MockTransport(answer))


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_success_is_delivery(status: int) -> None:
    it = event()
    assert await deliver(answering(lambda _: httpx.Response(status)), it) == {
        "id": it["id"], "attempt": 2, "outcome": "delivered",
    }  # fmt: skip


async def test_the_body_goes_as_it_was_signed_with_its_headers() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    await deliver(answering(answer), event())
    (request,) = seen
    assert (request.method, request.content) == ("POST", '{"å": 1}'.encode())
    assert (request.headers["webhook-signature"], request.headers["content-type"]) == ("v1,abc", "application/json")


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (500, "HTTP 500"),
        (404, "HTTP 404"),
        (429, "HTTP 429"),
        (301, "HTTP 301: redirects are not followed"),
        (308, "HTTP 308: redirects are not followed"),
    ],
)
async def test_everything_else_is_failure_and_says_what(status: int, message: str) -> None:
    calls: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(str(request.url))
        return httpx.Response(status, headers={"location": "https://elsewhere.example", "retry-after": "7"})

    report = await deliver(answering(answer), event())
    assert (report["outcome"], report["message"], report["retryAfterSeconds"]) == ("failed", message, 7)
    assert calls == [URL]


async def test_a_large_answer_of_success_is_success_and_is_not_read() -> None:
    read = 0

    class Flood(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            nonlocal read
            for _ in range(1000):
                read += 65536
                yield b"x" * 65536

    report = await deliver(answering(lambda _: httpx.Response(200, stream=Flood())), event())
    assert report["outcome"] == "delivered"
    assert read <= 3 * LARGEST_ANSWER


async def test_silence_and_a_broken_line_are_failures_in_time() -> None:
    async def silence(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(30)
        raise AssertionError

    hanging = Client(timeout=0.2, transport=httpx.MockTransport(silence))
    report = await deliver(hanging, event())
    assert (report["outcome"], report["message"]) == ("failed", "no answer within 0.2 seconds")

    def broken(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    assert (await deliver(answering(broken), event()))["outcome"] == "failed"


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "https://127.0.0.1/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:192.168.0.1]/",
        "https://localhost/",
    ],
)
async def test_plain_http_private_and_link_local_addresses_are_never_called(url: str) -> None:
    report = await deliver(Client(timeout=2), event(url))
    assert report["outcome"] == "failed"
    assert "not allowed" in report["message"] or "no address on the public internet" in report["message"], report


async def test_what_was_stopped_is_given_back_and_what_broke_counts() -> None:
    it = event()
    assert give_up(it, Unfinished.STOPPED)["outcome"] == "unsent"
    assert give_up(it, Unfinished.DEADLINE) == {
        "id": it["id"], "attempt": 2, "outcome": "failed", "message": "no answer in time",
    }  # fmt: skip
    assert give_up(it, Unfinished.BUG)["outcome"] == "failed"
