"""The HTTP boundary: what happens on the line becomes our error, once, and nothing secret comes along."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.virtual_time import VIRTUAL_TIME
from worker import errors
from worker.errors import AdapterError, Executed
from worker.http import Answer, Client, Http

pytestmark = pytest.mark.anyio
URL = "https://erp.example/graphql"
Handler = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def anyio_backend() -> Any:
    return VIRTUAL_TIME


def http(handle: Handler, **options: Any) -> Http:
    return Client(transport=httpx.MockTransport(handle), **options).bind(uuid4())


def answering(status: int = 200, **content: Any) -> Handler:
    return lambda _request: httpx.Response(status, **content)


def raising(error: Exception) -> Handler:
    def handle(_request: httpx.Request) -> httpx.Response:
        raise error

    return handle


async def failed(http: Http, *, writes: bool = True) -> AdapterError:
    """The error of one request, from sending it to reading its JSON."""
    with pytest.raises(AdapterError) as raised:
        (await http.send("POST", URL, writes=writes)).json()
    return raised.value


async def test_a_request_carries_its_correlation_id_and_its_body() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    correlation_id = uuid4()
    calling = Client(transport=httpx.MockTransport(handle)).bind(correlation_id)
    await calling.send("POST", URL, writes=False, headers={"Authorization": "token t0ken-t0ken"}, body={"a": 1})
    assert seen[0].headers["x-correlation-id"] == str(correlation_id)
    assert (seen[0].headers["authorization"], seen[0].content) == ("token t0ken-t0ken", b'{"a":1}')


@pytest.mark.parametrize(
    ("error", "kind", "executed"),
    [
        (httpx.ConnectError("refused"), errors.Unavailable, "no"),
        (httpx.ConnectTimeout("slow"), errors.Timeout, "no"),
        (httpx.PoolTimeout("busy"), errors.Timeout, "no"),
        (httpx.ReadTimeout("slow"), errors.Timeout, "unknown"),
        (httpx.ReadError("reset"), errors.Unavailable, "unknown"),
        (httpx.RemoteProtocolError("gone"), errors.Unavailable, "unknown"),
        (ConnectionResetError("reset"), errors.Unavailable, "unknown"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_a_fault_of_the_line_becomes_our_error(error: Exception, kind: type[AdapterError], executed: str) -> None:
    made = await failed(http(raising(error)))
    assert (type(made), made.executed, made.http_status) == (kind, executed, None)


async def test_a_name_that_does_not_resolve_is_told_from_a_refused_connection() -> None:
    error = httpx.ConnectError("failed")
    error.__cause__ = socket.gaierror(-2, "Name or service not known")
    assert "does not resolve" in (await failed(http(raising(error)))).message


async def test_the_text_of_an_exception_is_not_repeated_for_it_may_quote_what_was_sent() -> None:
    made = await failed(http(raising(httpx.LocalProtocolError("Illegal header value b'token hunter2hunter2'"))))
    assert "hunter2" not in made.message
    assert made.__cause__ is None


async def test_no_answer_within_the_timeout_is_a_timeout() -> None:
    async def hang(_request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(3600)
        raise AssertionError

    client = Client(transport=httpx.MockTransport(hang), timeout=10)
    with pytest.raises(errors.Timeout) as raised:
        await client.bind(uuid4()).send("POST", URL, writes=True)
    assert asyncio.get_running_loop().time() == 1010
    assert raised.value.executed is Executed.UNKNOWN


class Drip(httpx.AsyncByteStream):
    def __init__(self, seconds: float, piece: bytes = b" ", pieces: int = 1000) -> None:
        self._seconds, self._piece, self._pieces = seconds, piece, pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(self._pieces):
            await asyncio.sleep(self._seconds)
            yield self._piece


async def test_an_answer_that_drips_ends_with_the_timeout_of_the_whole_request() -> None:
    made = await failed(http(answering(stream=Drip(1)), timeout=10))
    assert isinstance(made, errors.Timeout)
    assert asyncio.get_running_loop().time() == 1010


async def test_an_answer_is_not_read_beyond_its_limit() -> None:
    drip = Drip(1, b"x" * 1000)
    made = await failed(http(answering(stream=drip), largest_answer=2500, timeout=10))
    assert isinstance(made, errors.Malformed)
    assert asyncio.get_running_loop().time() == 1003


async def test_a_body_is_json_whatever_the_status_and_its_fractions_are_exact() -> None:
    answer = await http(answering(400, content=b'{"amount": 0.10, "errors": []}')).send("POST", URL, writes=True)
    assert answer.json() == {"amount": Decimal("0.10"), "errors": []}


@pytest.mark.parametrize(
    ("status", "kind"), [(200, errors.Malformed), (503, errors.Unavailable), (401, errors.Unauthorized)]
)
async def test_a_page_instead_of_json_is_a_failure_of_the_line_or_of_its_status(
    status: int, kind: type[AdapterError]
) -> None:
    made = await failed(http(answering(status, html="<html><h1>Maintenance</h1></html>")))
    assert (type(made), made.http_status) == (kind, status)


async def test_a_redirect_is_never_followed() -> None:
    seen: list[str] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(302, headers={"location": "https://elsewhere.example/"})

    assert (await failed(http(handle))).http_status == 302
    assert seen == [URL]


async def test_a_cookie_is_not_carried_from_one_organisation_to_the_next() -> None:
    seen: list[str | None] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("cookie"))
        return httpx.Response(200, json={}, headers={"set-cookie": "session=of-one-tenant; Path=/"})

    client = Client(transport=httpx.MockTransport(handle))
    for _organisation in range(2):
        await client.bind(uuid4()).send("POST", URL, writes=False)
    assert seen == [None, None]


async def test_a_wait_that_is_asked_for_is_in_the_error() -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=30)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    made = await failed(http(answering(503, headers={"retry-after": soon})))
    assert made.executed is Executed.NO
    assert 27 < (made.retry_after or 0) <= 30


async def test_a_client_is_closed_and_opens_again_when_it_is_needed() -> None:
    client = Client(transport=httpx.MockTransport(answering(json={})))
    for _ in range(2):
        assert (await client.bind(uuid4()).send("GET", URL, writes=False)).status == 200
        await client.aclose()
    await client.aclose()


def test_json_that_is_too_deep_is_not_json() -> None:
    with pytest.raises(errors.Malformed):
        Answer(200, b"[" * 200_000, None, writes=False).json()
