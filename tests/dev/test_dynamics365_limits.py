"""Limits and times of the fake Business Central: per user, per operation, per token."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from dev.fakes import Dynamics365Fake
from tests.dev.bc_client import SNAPSHOT, BcClient, voucher


def test_the_rate_is_counted_per_user_in_a_sliding_window(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    bc.advance(0)
    bc.set_limits(rate=(3, 300))
    other = bc.add_company("bergen-secret", "Bergen")
    bergen = BcClient(bc, "bergen-secret", other.code)
    answers = [bc_client.send("GET", "/companies") for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert answers[3].json()["error"]["code"] == "Application_TooManyRequests"
    assert "retry-after" not in answers[3].headers
    assert bergen.send("GET", "/companies").status_code == 200
    bc.advance(301)
    assert bc_client.send("GET", "/companies").status_code == 200
    bergen.close()


def test_more_requests_than_are_processed_wait_and_more_than_wait_are_refused(
    bc: Dynamics365Fake, bc_client: BcClient
) -> None:
    bc_client.sign_in()
    bc.set_limits(processing=1, queue=1)
    held = bc.hold_next()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(bc_client.send, "GET", "/companies")
        assert held.arrived.wait(5)
        second = pool.submit(bc_client.send, "GET", "/companies")
        while bc.in_flight < 2:
            time.sleep(0.01)
        assert bc_client.send("GET", "/companies").status_code == 429
        held.release()
        assert (first.result(5).status_code, second.result(5).status_code) == (200, 200)


def test_waiting_too_long_in_the_queue_is_503_with_retry_after(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    bc_client.sign_in()
    bc.set_limits(processing=1, queue_seconds=0.05)
    held = bc.hold_next()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(bc_client.send, "GET", "/companies")
        assert held.arrived.wait(5)
        waited = bc_client.send("GET", "/companies")
        assert (waited.status_code, waited.headers["retry-after"]) == (503, "60")
        held.release()
        assert first.result(5).status_code == 200


def test_what_is_held_longer_than_eight_minutes_is_cancelled_and_never_executed(
    bc: Dynamics365Fake, bc_client: BcClient
) -> None:
    journal = bc_client.journal()
    held = bc.hold_next(on="$batch")
    with ThreadPoolExecutor(1) as pool:
        write = pool.submit(bc_client.batch, *bc_client.adding(journal, *voucher("BL1")), headers=SNAPSHOT)
        assert held.arrived.wait(5)
        bc.advance(481)
        held.release()
        assert write.result(5).status_code == 408
    assert bc.counts()["journalLines"] == 0


def test_what_is_held_for_less_is_executed_though_its_client_has_gone(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    journal = bc_client.journal()
    bc_client.write(journal, *voucher("BL1"))
    held = bc.hold_next(on="post")
    bc_client.timeout(0.2)
    with pytest.raises(httpx.ReadTimeout):
        bc_client.post(journal)
    assert bc.ledger.vouchers() == []
    bc.advance(479)
    held.release()
    assert held.committed.wait(5)
    bc.ledger.one("BL1")


@pytest.mark.parametrize("committed", [True, False])
def test_a_cancelled_session_may_have_committed(bc: Dynamics365Fake, bc_client: BcClient, committed: bool) -> None:
    journal = bc_client.journal()
    bc_client.write(journal, *voucher("BL1"))
    bc.cancel_next(committed=committed, on="post")
    assert bc_client.post(journal).status_code == 408
    assert len(bc.ledger.vouchers()) == int(committed)


@pytest.mark.parametrize(("status", "code"), [(409, "Internal_ServerError"), (400, "Application_DialogException")])
def test_a_deadlock_is_said_in_two_ways_and_writes_nothing(
    bc: Dynamics365Fake, bc_client: BcClient, status: int, code: str
) -> None:
    bc.deadlock_next(status=status, on="POST journals")
    found = bc_client.refused("POST", "journals", {"code": "EX"})
    assert found[:2] == (status, code)
    assert "deadlocked" in found[2]
    assert bc_client.ask("journals") == []


def test_a_storm_blows_over(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    bc.throttle_storm(4, on="GET journals")
    assert [bc_client.send("GET", "journals").status_code for _ in range(5)] == [429, 503, 504, 429, 200]


def test_a_token_revoked_or_run_out_between_two_requests_is_refused_and_nothing_is_done(
    bc: Dynamics365Fake, bc_client: BcClient
) -> None:
    bc.advance(0)
    bc.token_seconds = 60
    journal = bc_client.journal()
    bc_client.write(journal, *voucher("BL1"))
    bc.advance(61)
    assert bc_client.post(journal).status_code == 401
    bc_client.sign_in()
    assert bc_client.post(journal).status_code == 204
    bc.revoke_tokens()
    assert bc_client.send("GET", "journals").status_code == 401


def test_a_token_that_runs_out_while_a_request_is_inside_was_good_when_it_came(
    bc: Dynamics365Fake, bc_client: BcClient
) -> None:
    bc.advance(0)
    bc.token_seconds = 60
    journal = bc_client.journal()
    held = bc.hold_next(on="$batch")
    with ThreadPoolExecutor(1) as pool:
        write = pool.submit(bc_client.batch, *bc_client.adding(journal, *voucher("BL1")), headers=SNAPSHOT)
        assert held.arrived.wait(5)
        bc.advance(61)
        held.release()
        assert [one["status"] for one in write.result(5).json()["responses"]] == [201, 201]
