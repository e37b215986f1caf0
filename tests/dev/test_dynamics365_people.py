"""What people do inside Business Central meanwhile."""

from __future__ import annotations

import pytest

from dev.fakes import Dynamics365Fake
from dev.fakes.dynamics365.errors import BcError
from tests.dev.bc_client import BcClient, voucher


def test_an_accountant_posts_the_journal_that_was_left_and_a_second_post_finds_nothing(
    bc: Dynamics365Fake, bc_client: BcClient
) -> None:
    journal = bc_client.journal()
    bc_client.write(journal, *voucher("BL1"), *voucher("BL2", 30_000))
    assert bc.accountant.post_leftover("BL1") == 2
    assert {voucher.by for voucher in bc.ledger.vouchers()} == {"accountant"}
    assert bc_client.post(journal).status_code == 400
    assert bc.ledger.doubled() == {}


def test_an_accountant_posts_or_deletes_whatever_stands_as_far_as_it_goes(
    bc: Dynamics365Fake, bc_client: BcClient
) -> None:
    bc_client.write(bc_client.journal("GOOD"), *voucher("BL1"))
    bc_client.write(bc_client.journal("BAD"), *voucher("BL2")[:1])
    assert bc.accountant.post_what_stands() == 1
    assert (sorted(bc.ledger.by_reference()), bc.counts()["journalLines"]) == (["BL1"], 1)
    assert bc.accountant.delete_what_stands() == 1
    assert [row["code"] for row in bc_client.ask("journals")] == ["GOOD"]


def test_what_is_in_no_journal_cannot_be_posted(bc: Dynamics365Fake) -> None:
    with pytest.raises(LookupError, match="BL9 is in no journal"):
        bc.accountant.post_leftover("BL9")


def test_an_accountant_is_refused_as_everybody_is(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    bc_client.write(bc_client.journal(), *voucher("BL1")[:1])
    with pytest.raises(BcError, match="out of balance"):
        bc.accountant.post_leftover("BL1")


def test_an_accountant_deletes_lines_a_journal_or_what_is_posted(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    journal = bc_client.journal()
    bc_client.write(journal, *voucher("BL1"), *voucher("BL2", 30_000))
    assert bc.accountant.delete_lines("BL1", most=1) == 1
    assert len(bc_client.lines(journal)) == 3
    assert bc.accountant.delete_journal("EXQWMKZTRB") == 1
    assert bc_client.post(journal).status_code == 404
    bc_client.book("BL3", code="OTHER")
    assert bc.accountant.delete_posted("BL3") == 1
    assert (bc.ledger.missing(["BL3"]), bc_client.entries("BL3")) == (["BL3"], [])


def test_a_code_that_is_taken_stands_in_the_way_of_a_late_request(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    bc.administrator.set_journal("EXQWMKZTRB")
    assert bc_client.refused("POST", "journals", {"code": "EXQWMKZTRB"})[1] == "Internal_EntityWithSameKeyExists"


def test_a_setting_that_does_not_exist_is_said(bc: Dynamics365Fake) -> None:
    with pytest.raises(LookupError, match="Setup has no setting 'colour'"):
        bc.administrator.set_up(colour="red")


def test_settings_can_be_of_one_company_alone(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    other = bc.add_company("bergen-secret", "Bergen")
    bc.administrator.close_period("2026-12-31", owner=other.code)
    bc_client.book("BL1")
    assert other.setup.allow_posting_from is not None
    bc.ledger.one("BL1")
