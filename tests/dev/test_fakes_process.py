"""The fakes as a process of their own, scripted and asked over the control API."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from dev.fakes.remote import RemoteFake, running
from tests.dev.conftest import ADD, voucher


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with running("--token", "Oslo=oslo-token", "--token", "Bergen=bergen-token") as url:
        yield url


@pytest.fixture
def remote(base: str) -> Iterator[RemoteFake]:
    fake = RemoteFake(base, "xledger")
    yield fake
    fake.do("clear_faults")


def post(remote: RemoteFake, reference: str, token: str = "oslo-token") -> httpx.Response:
    body = {"query": ADD, "variables": {"in": voucher(reference, 41)}}
    return httpx.post(remote.url, json=body, headers={"authorization": f"token {token}"})


def test_another_process_can_script_a_fault_and_see_that_it_happened(remote: RemoteFake) -> None:
    remote.do("fail_next", status=429, after=30)
    assert remote.state()["unused"] == ["fail_next(429): used 0 of 1 times"]
    assert post(remote, "BL1").status_code == 429
    assert remote.state()["unused"] == []


def test_another_process_can_ask_what_was_really_booked(remote: RemoteFake) -> None:
    post(remote, "BL2")
    post(remote, "BL2")
    post(remote, "BL3", "bergen-token")
    check = remote.check(["BL2", "BL3", "BL4"])
    assert (check["missing"], check["doubled"], check["unbalanced"]) == (["BL4"], {"BL2": 2}, [])
    assert [found["reference"] for found in remote.vouchers("1001")] == ["BL3"]
    assert remote.state()["calls"]["addGLImportItems"] >= 3


def test_another_process_can_switch_and_play_the_accountant(remote: RemoteFake) -> None:
    remote.set(import_delay=None)
    post(remote, "BL5")
    assert remote.check(["BL5"])["missing"] == ["BL5"]
    remote.do("run_import")
    remote.set(import_delay=0)
    assert remote.check(["BL5"])["missing"] == []
    assert remote.do("delete_posted", reference="BL5") == 1


def test_a_new_organisation_can_be_added_while_it_runs(remote: RemoteFake) -> None:
    code = remote.add_owner("tromso-token", "Tromsø", "TR")
    post(remote, "BL6", "tromso-token")
    assert [found["reference"] for found in remote.vouchers(code)] == ["BL6"]


def test_a_held_request_is_released_from_outside(remote: RemoteFake) -> None:
    remote.do("hold_next")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            remote.url,
            json={"query": ADD, "variables": {"in": voucher("BL7", 41)}},
            headers={"authorization": "token oslo-token"},
            timeout=0.2,
        )
    assert remote.check(["BL7"])["missing"] == ["BL7"]
    remote.do("release")
    assert remote.check(["BL7"])["missing"] == []


def test_what_does_not_exist_is_said_in_a_sentence(remote: RemoteFake, base: str) -> None:
    with pytest.raises(ValueError, match="'explode' is not something that xledger does"):
        remote.do("explode")
    with pytest.raises(ValueError, match="'speed' is not a switch of xledger"):
        remote.set(speed=3)
    with pytest.raises(ValueError, match="nothing called 'sap'"):
        RemoteFake(base, "sap")


def test_the_credential_is_not_repeated_by_the_control_api(remote: RemoteFake, base: str) -> None:
    post(remote, "BL8")
    assert "oslo-token" not in httpx.get(f"{base}/control/xledger/requests").text
