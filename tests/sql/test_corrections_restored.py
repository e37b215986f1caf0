"""Corrections and a database restored to before them: what it forgot is looked for, and never sent twice."""

from __future__ import annotations

from typing import LiteralString
from uuid import UUID

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.correcting import items, named
from tests.sql.fake_worker import FakeWorker
from tests.sql.vendor_with_memory import DAY, RELEASE, REVERSE, Vendor, export, reference, shown

RECOVER: LiteralString = "select bilag_internal.recover(bilag_internal.now() - interval '1 hour')"


@pytest.fixture
def vendor(worker: FakeWorker) -> Vendor:
    return Vendor(worker)


@pytest.fixture
def claim(org: Organisation, vendor: Vendor) -> UUID:
    return vendor.book(org)


def test_a_database_restored_to_before_the_release_finds_what_it_exported_again_since(
    org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    first = reference(org)
    vendor.holds[named(org, 2)] = vendor.holds.pop(first)
    org.database.sql(RELEASE, claim)
    vendor.work()
    export(org, vendor)
    assert shown(org) == ("booked", None)
    assert reference(org) == named(org, 2)
    assert sum(vendor.posts.values()) == 1, "it was not sent a second time"


def test_a_database_restored_to_before_a_reversal_finds_the_mirror(
    org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    vendor.holds[named(org, 1, reversal=True)] = {"lines": []}
    org.database.sql(REVERSE, claim, DAY)
    vendor.work()
    assert shown(org)[0] == "reversed by voucher 2"
    assert sum(vendor.posts.values()) == 1, "the mirror was not sent a second time"


def test_a_reversal_that_is_pending_when_the_database_is_restored_is_looked_up_again(
    org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    org.database.sql(REVERSE, claim, DAY)
    (find,) = worker.settle(worker.claim_one())
    worker.settle(find, "absent", release=True)
    vendor.holds[named(org, 1, reversal=True)] = {"lines": []}
    org.database.sql(RECOVER)
    vendor.work()
    assert shown(org)[0] == "reversed by voucher 2"
    assert sum(vendor.posts.values()) == 1


def test_a_restore_does_not_let_a_reversal_pass_by_the_look_at_its_original(
    bilag: Bilag, org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    vendor.delete(reference(org))
    org.database.sql(REVERSE, claim, DAY)
    org.database.sql(RECOVER)
    for _ in range(4):
        vendor.work()
        bilag.advance(hours=1)
    assert sum(vendor.posts.values()) == 1
    assert items(org)[1] == (1, True, "rejected", "original_absent")


def test_a_re_export_after_a_restore_waits_until_nothing_can_be_on_its_way(
    bilag: Bilag, org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    vendor.delete(reference(org))
    org.database.sql(RECOVER)
    org.database.sql(RELEASE, claim)
    vendor.work()
    export(org, vendor)
    assert org.states() == {"C-1": "in_doubt"}, "absence_after has not passed since the restore"
    bilag.advance(minutes=5)
    vendor.work()
    assert list(vendor.holds) == [named(org, 2)]


def test_a_reversal_after_a_restore_waits_until_nothing_can_be_on_its_way(
    bilag: Bilag, org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    org.database.sql(RECOVER)
    org.database.sql(REVERSE, claim, DAY)
    vendor.work()
    assert named(org, 1, reversal=True) not in vendor.posts, "a mirror that was forgotten may still arrive"
    bilag.advance(minutes=5)
    vendor.work()
    assert vendor.posts[named(org, 1, reversal=True)] == 1
