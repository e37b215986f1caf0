"""What every fake does besides scripted faults: outages, latency, counting, and telling on unused faults."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from dev.fakes import XledgerFake
from tests.dev.conftest import ADD, Client, voucher
from tests.fix_fakes import ended

PROBE = "{ __typename }"


def test_maintenance_lasts_until_it_is_over(client: Client, erp: XledgerFake) -> None:
    erp.maintenance()
    answers = [client.send(ADD, {"in": voucher("BL1", 41)}) for _ in range(3)]
    assert {(answer.status_code, answer.headers["content-type"][:9]) for answer in answers} == {(503, "text/html")}
    erp.maintenance_over()
    assert client.ask(PROBE)
    assert erp.ledger.missing(["BL1"]) == ["BL1"]


def test_a_system_that_is_down_resets_and_one_that_is_gone_refuses(client: Client, erp: XledgerFake) -> None:
    erp.down()
    with pytest.raises(httpx.TransportError):
        client.send(PROBE)
    erp.up()
    erp.down(refuse=True)
    with pytest.raises(httpx.ConnectError):
        httpx.post(erp.url)
    erp.up()
    assert client.ask(PROBE)


def test_every_call_takes_the_latency_and_calls_run_side_by_side(client: Client, erp: XledgerFake) -> None:
    erp.latency = 0.3
    before = time.monotonic()
    with ThreadPoolExecutor(5) as pool:
        list(pool.map(lambda _: client.ask(PROBE), range(5)))
    assert time.monotonic() - before >= 0.3
    assert erp.most_in_flight > 1


def test_concurrency_is_counted_once_the_limit_is_on(client: Client, erp: XledgerFake) -> None:
    erp.set_limits(concurrency=1)
    hold = erp.hold_next()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.ask, PROBE)
        assert hold.arrived.wait(5)
        assert client.refused(PROBE)[0]["code"] == "BAD_REQUEST.CONCURRENCY_LIMIT_REACHED"
        hold.release()
        assert first.result(5)


def test_calls_are_counted_by_operation_and_kept_with_their_headers(client: Client, erp: XledgerFake) -> None:
    client.ask(PROBE)
    client.add(*voucher("BL1", 41))
    assert erp.calls == {"__typename": 1, "addGLImportItems": 1}
    assert {request.headers["x-correlation-id"] for request in erp.requests} == {"c-1"}


def test_a_scripted_fault_that_never_happened_is_named() -> None:
    erp = XledgerFake()
    erp.fail_next(429, 2, on="addGLImportItems")
    erp.maintenance()
    assert erp.unused() == [
        "maintenance: used 0 of any number of times",
        "fail_next(429) on addGLImportItems: used 0 of 2 times",
    ]
    erp.clear_faults()
    assert erp.unused() == []


def test_a_test_fails_when_its_fault_never_happened() -> None:
    erp = XledgerFake()
    erp.commit_then_reset()
    with pytest.raises(pytest.fail.Exception, match="never happened: commit_then_reset"):
        ended(erp)


def test_a_test_whose_faults_all_happened_ends_well(client: Client, erp: XledgerFake) -> None:
    erp.fail_next(500)
    client.send(PROBE)
    ended(erp)
