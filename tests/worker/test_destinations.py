"""Where a request may go, by its host and by the address that the host turns out to have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from worker import errors
from worker.destinations import Destinations
from worker.errors import Executed
from worker.http import Client

pytestmark = pytest.mark.anyio

WHERE = Destinations({"erp.example"}, {"on-premises.example"}, {"fakes:8080", "localhost"})


@pytest.mark.parametrize(
    "url",
    [
        "https://erp.example/v1",
        "https://ERP.example:8443/v1",
        "https://on-premises.example",
        "http://fakes:8080/xledger",
        "https://fakes:8080/",
        "http://localhost:1/",
    ],
)
def test_announced_allowed_and_stand_in_hosts_are_called(url: str) -> None:
    WHERE.permit(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://erp.example/",
        "http://fakes:8081/",
        "https://other.example/",
        "https://erp.example.other.example/",
        "https://erp.example@other.example/",
        "https://token@erp.example/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::1",
        "https:///nowhere",
        "https://erp.example:port/",
        "ftp://erp.example/",
        "file:///etc/passwd",
        "erp.example",
        "",
    ],
)
def test_other_hosts_and_what_is_no_url_are_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(errors.Misconfigured) as raised:
        WHERE.permit(url)
    assert raised.value.executed is Executed.NO


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd00::1", "::"])
def test_a_vendors_host_in_a_private_network_is_refused_and_an_allowed_one_is_called(address: str) -> None:
    with pytest.raises(errors.Misconfigured, match=r"erp\.example"):
        WHERE.permit_address("https://erp.example/", address)
    WHERE.permit_address("https://on-premises.example/", address)
    WHERE.permit_address("http://localhost:1/", address)


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1%eth0", "::ffff:169.254.169.254"])
@pytest.mark.parametrize("host", ["erp.example", "on-premises.example"])
def test_a_link_local_address_is_no_accounting_system_whoever_allowed_its_name(host: str, address: str) -> None:
    with pytest.raises(errors.Misconfigured):
        WHERE.permit_address(f"https://{host}/", address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "::ffff:93.184.216.34"])
def test_the_public_internet_is_where_vendors_are(address: str) -> None:
    WHERE.permit_address("https://erp.example/", address)


class Listener:
    """A port that takes connections and writes down the first bytes of each."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.append(await reader.read(100))
        writer.close()
        self.ended.set()


@pytest.fixture
async def listener() -> AsyncIterator[tuple[Listener, int]]:
    listening = Listener()
    server = await asyncio.start_server(listening.serve, "127.0.0.1", 0)
    yield listening, server.sockets[0].getsockname()[1]
    server.close()


async def test_a_name_that_resolves_to_this_machine_hears_not_even_a_greeting(listener: tuple[Listener, int]) -> None:
    listening, port = listener
    client = Client()
    try:
        calling = client.bind(uuid4(), announced={"localhost"})
        with pytest.raises(errors.Misconfigured, match="no address on the public internet") as raised:
            await calling.send("POST", f"https://localhost:{port}/", writes=True, body={"secret": 1})
        assert raised.value.executed is Executed.NO
        async with asyncio.timeout(10):
            await listening.ended.wait()
        assert listening.heard == [b""]
    finally:
        await client.aclose()


async def test_a_private_host_that_the_owner_allowed_is_greeted(listener: tuple[Listener, int]) -> None:
    listening, port = listener
    client = Client()
    try:
        calling = client.bind(uuid4(), announced={"erp.example"}, allowed=["localhost"])
        with pytest.raises(errors.AdapterError) as raised:  # it speaks no TLS
            await calling.send("POST", f"https://localhost:{port}/", writes=True)
        assert not isinstance(raised.value, errors.Misconfigured)
        assert listening.heard[0][:1] == b"\x16"  # the first byte of a TLS greeting
    finally:
        await client.aclose()
