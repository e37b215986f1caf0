"""The fault dial: what a client meets, what the accounting system did meanwhile, and what was never used."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import httpx
import pytest

from dev.fakes import XledgerFake
from tests.dev.conftest import ADD, Client, voucher

PROBE = "{ __typename }"
ROWS = {"in": voucher("BL1", 41)}

pytestmark = pytest.mark.anyio


def is_booked(erp: XledgerFake) -> bool:
    return erp.ledger.missing(["BL1"]) == []


def test_a_failure_is_answered_as_often_as_scripted_and_executes_nothing(client: Client, erp: XledgerFake) -> None:
    erp.fail_next(429, 2, after=30)
    answers = [client.send(ADD, ROWS) for _ in range(2)]
    assert [(answer.status_code, answer.headers["retry-after"]) for answer in answers] == [(429, "30"), (429, "30")]
    assert not is_booked(erp)
    assert client.send(PROBE).status_code == 200


def test_retry_after_can_be_a_date(client: Client, erp: XledgerFake) -> None:
    erp.fail_next(503, retry_after="Sun, 01 Mar 2026 12:00:00 GMT")
    assert client.send(PROBE).headers["retry-after"] == "Sun, 01 Mar 2026 12:00:00 GMT"


def test_a_fault_can_wait_for_one_operation_and_let_some_through(client: Client, erp: XledgerFake) -> None:
    erp.fail_next(500, on="addGLImportItems", skip=1)
    assert client.send(PROBE).status_code == 200
    assert client.send(ADD, ROWS).status_code == 200
    assert client.send(ADD, ROWS).status_code == 500


def test_a_fault_waits_for_any_of_the_things_that_are_asked_for_at_once(client: Client, erp: XledgerFake) -> None:
    both = "{ queue: glImportItems(first:1){edges{cursor}} journalEntries(first:1){edges{cursor}} __typename }"
    erp.fail_next(500, on="journalEntries")
    assert client.send(both).status_code == 500
    assert erp.calls == {"glImportItems+journalEntries": 1}


def test_faults_happen_in_the_order_they_were_scripted(client: Client, erp: XledgerFake) -> None:
    for status in (500, 502, 503):
        erp.fail_next(status)
    assert [client.send(PROBE).status_code for _ in range(4)] == [500, 502, 503, 200]


@pytest.mark.parametrize(
    ("turn", "meets", "booked"),
    [
        (lambda erp: erp.hang_next(), httpx.ReadTimeout, False),
        (lambda erp: erp.cut_next(), httpx.TransportError, False),
        (lambda erp: erp.commit_then_hang(), httpx.ReadTimeout, True),
        (lambda erp: erp.commit_then_reset(), httpx.TransportError, True),
        (lambda erp: erp.truncate_next(cut=True), httpx.TransportError, True),
    ],
    ids=["hang", "cut", "commit then hang", "commit then reset", "cut in the body"],
)
def test_a_client_without_an_answer_does_not_know_whether_it_was_executed(
    client: Client, erp: XledgerFake, turn: Callable[[XledgerFake], None], meets: type[Exception], booked: bool
) -> None:
    turn(erp)
    with pytest.raises(meets):
        client.send(ADD, ROWS, timeout=0.3)
    assert is_booked(erp) is booked


def test_a_gateway_can_give_up_after_the_commit(client: Client, erp: XledgerFake) -> None:
    erp.commit_then_status(504)
    assert client.send(ADD, ROWS).status_code == 504
    assert is_booked(erp)


def test_a_truncated_answer_is_not_json(client: Client, erp: XledgerFake) -> None:
    erp.truncate_next()
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        client.send(ADD, ROWS).json()
    assert is_booked(erp)


def test_a_flooded_answer_is_ten_megabytes(client: Client, erp: XledgerFake) -> None:
    erp.flood_next(10)
    assert len(client.send(PROBE).content) > 10_000_000


def test_a_slow_drip_is_slower_than_a_client_that_waits_for_the_whole(client: Client, erp: XledgerFake) -> None:
    erp.drip_next(seconds=0.02, pieces=10)
    before = time.monotonic()
    assert client.ask(PROBE) == {"__typename": "Query"}
    assert time.monotonic() - before >= 0.2


def test_answers_can_come_doubled_and_backwards(client: Client, erp: XledgerFake) -> None:
    erp.duplicate_next()
    doubled = client.add(*voucher("BL1", 41))["addGLImportItems"]["edges"]
    erp.reorder_next()
    backwards = client.add(*voucher("BL2", 42))["addGLImportItems"]["edges"]
    assert [edge["clientId"] for edge in doubled] == ["BL1/7140", "BL1/2910", "BL1/7140", "BL1/2910"]
    assert [edge["clientId"] for edge in backwards] == ["BL2/2910", "BL2/7140"]


def test_an_error_can_repeat_the_authorization_header(client: Client, erp: XledgerFake) -> None:
    erp.echo_authorization()
    assert "token test-token" in client.refused(PROBE)[0]["message"]


async def test_a_held_request_is_executed_when_it_is_released_though_its_client_left(
    client: Client, erp: XledgerFake
) -> None:
    hold = erp.hold_next(on="addGLImportItems")
    with pytest.raises(httpx.ReadTimeout):
        client.send(ADD, ROWS, timeout=0.2)
    await hold.until_arrived()
    assert not is_booked(erp)
    hold.release()
    await hold.until_committed()
    assert is_booked(erp)


async def test_a_held_request_can_be_forgotten(client: Client, erp: XledgerFake) -> None:
    hold = erp.hold_next()
    with pytest.raises(httpx.ReadTimeout):
        client.send(ADD, ROWS, timeout=0.2)
    hold.drop()
    assert client.ask(PROBE)
    assert not is_booked(erp)


def test_a_request_can_be_executed_after_its_client_gave_up(client: Client, erp: XledgerFake) -> None:
    erp.commit_after(0.4)
    with pytest.raises(httpx.ReadTimeout):
        client.send(ADD, ROWS, timeout=0.1)
    turned = threading.Event()
    for _ in range(500):
        if is_booked(erp):
            return
        turned.wait(0.02)
    pytest.fail("it was never executed")


def test_rows_can_move_while_they_are_looked_for(client: Client, erp: XledgerFake) -> None:
    erp.import_delay = None
    client.add(*voucher("BL1", 41))
    erp.import_between_reads()
    seen = client.ask("{ journalEntries(first:5){edges{cursor}} glImportItems(first:5){edges{cursor}} }")
    assert seen == {"journalEntries": {"edges": None}, "glImportItems": {"edges": None}}
    assert is_booked(erp)
