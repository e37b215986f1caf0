"""Corrections on moved ground: another credential or ledger, a number given on, looks that never tell."""

from __future__ import annotations

from typing import Any, LiteralString
from uuid import UUID

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.correcting import alerts
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused
from tests.sql.vendor_with_memory import DAY, RELEASE, REVERSE, Vendor, audited, export, reference, shown

NEW_CREDENTIAL: LiteralString = "select bilag.set_integration_credential(%s, 'xledger', 'another one')"
RECOVER: LiteralString = "select bilag_internal.recover(bilag_internal.now() - interval '1 hour')"
MOVE: LiteralString = 'update bilag.integration_config set settings = settings || \'{"owner_code": "9"}\''
RECONCILE: LiteralString = "select bilag.request_reconciliation(%s, 'xledger', '2026-03-01', '2026-03-31')"


@pytest.fixture
def vendor(worker: FakeWorker) -> Vendor:
    return Vendor(worker)


@pytest.fixture
def claim(org: Organisation, vendor: Vendor) -> UUID:
    return vendor.book(org)


def test_a_new_credential_that_does_not_find_the_voucher_does_not_release_it(
    org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    elsewhere = dict(vendor.holds)
    vendor.holds.clear()  # what the new credential reaches
    org.database.sql(NEW_CREDENTIAL, org.id)
    org.database.sql(RELEASE, claim)
    vendor.work()
    export(org, vendor)
    assert shown(org) == ("booked", "not_found_with_new_credential")
    assert vendor.holds == {}, f"it stands in the other ledger: {elsewhere}"
    assert audited(org)[-1] == "claim.release_refused"


def test_a_person_who_asks_again_vouches_for_the_new_credential(org: Organisation, vendor: Vendor, claim: UUID) -> None:
    vendor.delete(reference(org))
    org.database.sql(NEW_CREDENTIAL, org.id)
    for _ in range(2):
        org.database.sql(RELEASE, claim)
        vendor.work()
    export(org, vendor)
    assert list(vendor.holds) == [reference(org)]
    assert shown(org) == ("booked", None)


def test_a_credential_that_changes_once_more_asks_for_another_word(
    org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    vendor.holds.clear()
    org.database.sql(NEW_CREDENTIAL, org.id)
    org.database.sql(RELEASE, claim)
    vendor.work()
    org.database.sql(RELEASE, claim)
    org.database.sql(NEW_CREDENTIAL, org.id)
    vendor.work()
    assert shown(org) == ("booked", "not_found_with_new_credential")


def test_what_a_restored_database_found_is_not_released_by_a_look_into_another_ledger(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor
) -> None:
    claim = org.claim("C-1")
    org.database.sql(RECOVER)
    org.request()
    worker.work(lambda _job, _item: "exported")  # the look finds it
    assert shown(org) == ("booked", None)
    org.database.sql(MOVE)
    with refused("KB004", "another ledger"):
        org.database.sql(RELEASE, claim)


def test_a_reconciliation_asks_about_what_a_restored_database_found(
    org: Organisation, worker: FakeWorker, vendor: Vendor
) -> None:
    org.claim("C-1")
    org.database.sql(RECOVER)
    org.request()
    worker.work(lambda _job, _item: "exported")
    made = org.database.value(RECONCILE, org.id)
    vendor.work()
    counts = org.database.value("select bilag.reconciliation_status(%s)", made)["vouchers"]
    assert (counts["total"], counts["elsewhere"], counts["vanished"]) == (1, 0, 1)


@pytest.mark.parametrize(("verb", "more"), [(RELEASE, ()), (REVERSE, (DAY,))])
def test_a_correction_that_no_look_can_decide_is_told(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID, verb: LiteralString, more: Any
) -> None:
    org.database.sql(verb, claim, *more)
    worker.settle(worker.claim_one(), {"outcome": "unknown", "message": "In part."}, release=True)
    assert alerts(org) == ["in_doubt"]
    bilag.advance(days=2)
    vendor.work()
    assert alerts(org) == []


def test_a_release_that_no_look_can_decide_is_withdrawn_by_a_person(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    org.database.sql(RELEASE, claim)
    worker.settle(worker.claim_one(), "unknown", release=True)
    with refused("KB004", "not in doubt"):
        org.database.sql("select bilag.resolve_in_doubt(%s, 'xledger', 'not_booked')", claim)
    org.database.sql("select bilag.resolve_in_doubt(%s, 'xledger', 'booked')", claim)
    assert (shown(org), alerts(org)) == (("booked", None), [])
    vendor.delete(reference(org))
    bilag.advance(days=2)
    assert vendor.work() == [], "nobody asks any more"
    assert audited(org)[-1] == "claim.release_withdrawn"


def test_a_reversal_that_was_cancelled_is_over_though_no_look_can_tell(
    bilag: Bilag, org: Organisation, worker: FakeWorker, claim: UUID
) -> None:
    run = org.database.value(REVERSE, claim, DAY)
    worker.settle(worker.claim_one(), "unknown", release=True)
    org.database.sql("select bilag.cancel_export(%s)", run)
    bilag.advance(hours=1)
    worker.work(lambda _job, _item: "unknown")
    assert org.database.sql("select id from bilag.export_items where verifying is not null") == []
    assert shown(org)[0] == "booked"
    assert "in_doubt" not in alerts(org)


def test_a_claim_keeps_the_number_under_which_it_was_sent(org: Organisation, vendor: Vendor, claim: UUID) -> None:
    """Another claim that takes the number would take the reference, and be found where the first one stands."""
    org.database.sql(REVERSE, claim, DAY)
    vendor.work()
    org.database.sql("select bilag.reopen_claim(%s, 'wrong')", claim)
    with refused("KB006", "keeps its number"):
        org.database.sql("update bilag.expense_claims set claim_number = 'C-9' where id = %s", claim)
