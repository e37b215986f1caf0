"""Late words about what was corrected meanwhile, and corrections of what changed meanwhile."""

from __future__ import annotations

from typing import LiteralString
from uuid import UUID

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.correcting import alerts, items, named, reversal_is_in_hand
from tests.sql.fake_worker import FakeWorker, report
from tests.sql.refusals import refused
from tests.sql.vendor_with_memory import DAY, RELEASE, REVERSE, Vendor, export, reference, shown


@pytest.fixture
def vendor(worker: FakeWorker) -> Vendor:
    return Vendor(worker)


@pytest.fixture
def claim(org: Organisation, vendor: Vendor) -> UUID:
    return vendor.book(org)


@pytest.mark.parametrize("taken", [False, True])
def test_a_late_look_that_saw_it_takes_the_release_back_while_nothing_was_sent(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID, taken: bool
) -> None:
    org.database.sql(RELEASE, claim)
    slow = worker.claim_one()
    bilag.advance(minutes=2)
    worker.tick()
    worker.settle(worker.claim_one(), "absent")
    if taken:
        org.request()
        worker.settle(worker.claim_one(), "unknown", release=True)
    worker.tell(report(slow))
    assert shown(org) == ("booked", "released_by_mistake")
    assert alerts(org) == ["released_still_there"]
    bilag.advance(hours=1)
    export(org, vendor)
    assert sum(vendor.posts.values()) == 1


def test_a_late_look_that_saw_what_was_exported_again_meanwhile_raises_an_alarm(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    org.database.sql(RELEASE, claim)
    slow = worker.claim_one()
    bilag.advance(minutes=2)
    worker.tick()
    worker.settle(worker.claim_one(), "absent")
    export(org, vendor)
    worker.tell(report(slow))
    assert alerts(org) == ["released_still_there"]
    assert items(org) == [(1, False, "voided", "released_for_reexport"), (2, False, "exported", None)]


def test_a_late_answer_of_a_reconciliation_is_no_evidence_against_a_release(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    org.database.sql("select bilag.request_reconciliation(%s, 'xledger', '2026-03-01', '2026-03-31')", org.id)
    slow = worker.claim_one()
    assert slow["kind"] == "reconcile"
    bilag.advance(minutes=2)
    worker.tick()
    vendor.delete(reference(org))
    org.database.sql(RELEASE, claim)
    vendor.work()
    worker.tell(report(slow))
    assert alerts(org) == []
    assert items(org) == [(1, False, "voided", "released_for_reexport")]


def test_what_only_a_person_called_booked_is_released_when_nothing_can_be_on_its_way_any_more(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor
) -> None:
    org.database.sql("update bilag.integration_types set absence_after = '10 min'")
    claim = org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "unknown")
    org.database.sql("select bilag.resolve_in_doubt(%s, 'xledger', 'booked', 'GL-1')", claim)
    org.database.sql(RELEASE, claim)
    vendor.work()
    assert org.states() == {"C-1": "exported"}, "the write may still arrive"
    bilag.advance(minutes=11)
    vendor.work()
    assert org.states() == {"C-1": "voided"}


def test_a_reversed_copy_is_not_taken_again_by_itself(bilag: Bilag, org: Organisation, vendor: Vendor) -> None:
    bilag.type("copy")
    org.integration("copy", books=False)
    org.map("Taxi", "1", kind="copy")
    claim = org.claim("C-1")
    for _ in range(2):
        org.request(kind="copy")
        vendor.work()
        if len(vendor.posts) == 1:
            org.database.sql("select bilag.reverse_export(%s, 'copy', %s, 'wrong')", claim, DAY)
            vendor.work()
    assert len(vendor.posts) == 2
    export(org, vendor)
    assert len(vendor.posts) == 3, "that the copy was reversed is nothing to the integration that books"


def test_a_late_word_about_what_was_reversed_and_released_is_no_news(
    org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    org.database.sql(REVERSE, claim, DAY)
    look = worker.claim_one()
    (find,) = worker.settle(look)
    (post,) = worker.settle(find, "absent")
    worker.settle(post)
    org.database.sql(RELEASE, claim)
    worker.tell(report(look))
    assert alerts(org) == []
    assert items(org)[0][2] == "voided"


def test_a_late_success_of_the_first_reversal_does_not_let_the_second_be_sent(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    post = reversal_is_in_hand(org, worker, claim)
    org.database.sql("select bilag.cancel_export(%s)", post["runId"])
    bilag.advance(minutes=2)
    worker.tick()
    worker.settle(worker.claim_one(), "absent")
    bilag.advance(minutes=2)
    worker.settle(worker.claim_one(), "absent")
    assert items(org)[1][2:] == ("voided", "reversal_not_sent")
    org.database.sql(REVERSE, claim, DAY)
    worker.settle(worker.claim_one(), release=True)
    vendor.answer(post, post["items"][0])
    worker.tell(report(post))
    vendor.work()
    assert vendor.posts[named(org, 1, reversal=True)] == 1
    assert shown(org)[0] == "reversed by voucher 2"


def test_no_two_vouchers_of_a_claim_ever_have_one_reference(org: Organisation, vendor: Vendor, claim: UUID) -> None:
    for _ in range(2):
        vendor.delete(reference(org))
        org.database.sql(RELEASE, claim)
        vendor.work()
        export(org, vendor)
        org.database.sql(REVERSE, claim, DAY)
        vendor.work()
        org.database.sql(RELEASE, claim)
        org.database.sql("select bilag.mark_booked(%s, 'xledger', '1', 'by hand')", claim)
        org.database.sql(RELEASE, claim)
        export(org, vendor)
    assert set(vendor.posts.values()) == {1}
    doubled: LiteralString = "select reference from bilag.export_items group by reference having count(*) > 1"
    assert org.database.sql(doubled) == []


def test_a_claim_exported_again_after_its_period_closed_moves_to_the_first_open_day(
    org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    vendor.delete(reference(org))
    org.database.sql(RELEASE, claim)
    vendor.work()
    org.database.sql("update bilag.integration_config set books_closed_until = '2026-03-31'")
    export(org, vendor)
    assert vendor.holds[named(org, 2)]["postingDate"] == "2026-04-01"
    org.database.sql(REVERSE, claim, "2026-04-01")
    vendor.work()
    assert vendor.holds[named(org, 2, reversal=True)]["postingDate"] == "2026-04-01"


def test_the_ledger_is_not_changed_under_a_correction_nor_one_made_in_another_ledger(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    move: LiteralString = 'update bilag.integration_config set settings = settings || \'{"owner_code": "9"}\''
    org.database.sql(REVERSE, claim, DAY)
    with refused("KB004", "still under way"):
        org.database.sql(move)
    (find,) = worker.settle(worker.claim_one())
    worker.settle(find, "absent", release=True)
    with refused("KB004", "still under way"):
        org.database.sql(move)
    org.database.sql("select bilag.cancel_export(id) from bilag.export_runs where trigger = 'reversal'")
    org.database.sql(move)
    for verb, more in ((RELEASE, ()), (REVERSE, (DAY,))):
        with refused("KB004", "another ledger"):
            org.database.sql(verb, claim, *more)
