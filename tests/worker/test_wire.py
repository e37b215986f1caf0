"""Where a request may go, what has left us when it fails, and how long we are asked to wait."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest

from worker import errors
from worker.errors import AdapterError, Executed
from worker.faults import Fault
from worker.http import Client
from worker.wire import Wire, fault_of, retry_after

pytestmark = pytest.mark.anyio


ANSWERING = httpx.MockTransport(lambda _request: httpx.Response(200, json={}))


@pytest.mark.parametrize(
    ("url", "is_allowed"),
    [
        ("http://erp.example/", False),
        ("http://fakes:8080/xledger", True),
        ("http://fakes:8081/xledger", False),
        ("http://localhost:1/", True),
        ("https://erp.example/", True),
        ("https://other.example/", False),
        ("ftp://erp.example/", False),
        ("https:///nowhere", False),
        ("https://[::1", False),
    ],
)
async def test_only_allowed_hosts_are_called_and_plain_http_only_where_it_is_allowed(
    url: str, is_allowed: bool
) -> None:
    plain = frozenset({"localhost", "Fakes:8080"})
    client = Client(transport=ANSWERING, plain_hosts=plain)
    calling = client.bind(uuid4(), {"erp.example"})
    if is_allowed:
        assert (await calling.send("POST", url, writes=True)).status == 200
        return
    with pytest.raises(errors.Misconfigured) as raised:
        await calling.send("POST", url, writes=True)
    assert raised.value.executed is Executed.NO


@pytest.mark.parametrize("secret", ["two\nlines", "nul\x00", "blåbær", "blank "])
async def test_a_header_that_http_cannot_carry_is_refused_without_its_value(secret: str) -> None:
    calling, headers = Client(transport=ANSWERING).bind(uuid4()), {"Authorization": f"token {secret}"}
    with pytest.raises(errors.Misconfigured) as raised:
        await calling.send("POST", "https://erp.example", writes=True, headers=headers)
    assert secret not in str(raised.value)


NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("30", 30),
        ("0.5", 0.5),
        ("-3", 0),
        ("Sun, 01 Mar 2026 12:00:20 GMT", 20),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("99999999", 6 * 3600),
        ("nan", None),
        ("soon", None),
        ("Sunday, 01-Mar-26 12:00:20 GMT", 20),
        ("Sun Mar  1 12:00:20 2026", 20),
        ("Sun, 01 Mar 99999999999999999999 12:00:20 GMT", None),
        ("Sun, 01 Mar 2026 12:00:20 +99999999999999999999", None),
        ("9" * 400, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_six_hours_at_the_most(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


async def outcome_of(url: str) -> AdapterError:
    client = Client(timeout=0.4, plain_hosts=frozenset({"127.0.0.1"}))
    try:
        with pytest.raises(AdapterError) as raised:
            await client.bind(uuid4()).send("POST", url, writes=True, body={})
    finally:
        await client.aclose()
    return raised.value


async def test_a_handshake_that_never_ends_has_sent_nothing(silent_port: int) -> None:
    error = await outcome_of(f"https://127.0.0.1:{silent_port}/")
    assert (type(error), error.executed) == (errors.Timeout, Executed.NO)


async def test_a_request_that_is_never_answered_may_have_been_executed(silent_port: int) -> None:
    error = await outcome_of(f"http://127.0.0.1:{silent_port}/")
    assert (type(error), error.executed) == (errors.Timeout, Executed.UNKNOWN)


async def test_what_fails_before_the_first_header_is_sent_was_not_executed() -> None:
    wire = Wire()
    assert fault_of(None, wire) is Fault.TIMEOUT  # a transport that does not trace may have sent everything
    await wire.note("connection.connect_tcp.started", {})
    assert (fault_of(None, wire), fault_of(OSError(), wire)) == (Fault.CONNECT_TIMEOUT, Fault.CONNECT)
    await wire.note("http11.send_request_headers.started", {})
    assert (fault_of(None, wire), fault_of(OSError(), wire)) == (Fault.TIMEOUT, Fault.NETWORK)


async def test_a_refused_connection_has_sent_nothing(silent_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    error = await outcome_of(f"http://127.0.0.1:{closed}/")
    assert (type(error), error.executed) == (errors.Unavailable, Executed.NO)


async def test_a_stand_in_is_called_directly_whatever_proxy_the_environment_names(
    silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    error = await outcome_of(f"http://127.0.0.1:{silent_port}/")
    assert isinstance(error, errors.Timeout)
