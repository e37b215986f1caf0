"""Sample organisations and their accounting systems: for every adapter, and counted by the systems' own word."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev.fakes.remote import running
from dev.sample import ORGANIZATIONS, organizations
from dev.systems import Systems, Tally, tally_of_files
from worker import adapters

KEYS = adapters.keys()
HEAD = (
    "voucher_number,posting_date,account_code,amount,currency,"
    "vat_code,description,claim_number,reference,dimensions\r\n"
)


def lines(reference: str, *amounts: str) -> str:
    return "".join(f"41,2026-03-01,7140,{amount},NOK,,Drosje,C-1,{reference},{{}}\r\n" for amount in amounts)


def a_file(*vouchers: str) -> bytes:
    return (HEAD + "".join(vouchers)).encode()


@pytest.fixture(scope="module")
def systems() -> Iterator[Systems]:
    with running() as url:
        yield Systems(url, "http://accounting:8770")


def test_every_adapter_has_an_organisation_that_asks_and_one_with_a_schedule() -> None:
    ways = {(one.integration_type, one.by_schedule) for one in ORGANIZATIONS}
    assert {(key, scheduled) for key in KEYS for scheduled in (False, True)} <= ways
    assert len({one.org_number for one in ORGANIZATIONS}) == len(ORGANIZATIONS)


def test_organisations_of_systems_without_an_adapter_are_left_out() -> None:
    assert {one.integration_type for one in organizations(["file"])} == {"file"}


@pytest.mark.parametrize("key", KEYS)
def test_what_an_organisation_is_given_is_what_its_adapter_takes(systems: Systems, key: str) -> None:
    for organization in organizations([key]):
        access = systems.connect(organization)
        settings = adapters.read_settings(key, {"settlement_account": "2910", **access.settings})
        assert (access.credential is not None) == adapters.load(key).capabilities.needs_credential
        urls = [str(value) for name, value in settings if name.endswith("_url")]
        assert all(url.startswith("http://accounting:8770/") for url in urls)


def test_a_file_is_counted_by_its_lines() -> None:
    good = a_file(lines("BL1", "10.00", "5.50", "-15.50"), lines("BL2", "7.00", "-7.00"))
    assert tally_of_files([good], ["BL1", "BL2"]) == Tally(booked=2, missing=0, doubled=0)
    assert tally_of_files([good], ["BL1", "BL2", "BL3"]) == Tally(booked=2, missing=1, doubled=0)
    assert tally_of_files([good, a_file(lines("BL2", "7.00", "-7.00"))], ["BL1", "BL2"]) == Tally(2, 0, 1)
    twice = a_file(lines("BL1", "7.00", "-7.00", "7.00", "-7.00"))
    assert tally_of_files([twice], ["BL1"]) == Tally(1, 0, 1)
    half = a_file(lines("BL1", "7.00", "1.00", "-7.00"))
    assert tally_of_files([half], ["BL1"]) == Tally(0, 1, 0)
