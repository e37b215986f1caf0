"""A voucher that was deleted at the vendor is released once a look agrees, and its claim is exported again."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused
from tests.sql.vendor_with_memory import DAY, RELEASE, REVERSE, Vendor, audited, export, reference, shown


@pytest.fixture
def vendor(worker: FakeWorker) -> Vendor:
    return Vendor(worker)


@pytest.fixture
def claim(org: Organisation, vendor: Vendor) -> UUID:
    return vendor.book(org)


def test_a_deleted_voucher_is_released_after_a_look_and_exported_again_under_a_new_reference_and_number(
    org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    first = reference(org)
    vendor.delete(first)
    org.database.sql(RELEASE, claim)
    assert shown(org) == ("booked; its release waits for a look", "release_requested")
    assert [job["kind"] for job in vendor.work()] == ["confirm"]
    assert shown(org) == ("approved, waits for the next export", "released_for_reexport")
    assert audited(org) == ["claim.release_requested", "claim.released"]
    export(org, vendor)
    assert shown(org) == ("booked", None)
    assert reference(org) != first
    assert org.database.sql("select revision, voucher_number, state from bilag.export_items order by id") == [
        (1, 1, "voided"),
        (2, 2, "exported"),
    ]
    assert list(vendor.holds) == [reference(org)]
    runs = org.database.sql("select bilag_internal.run_counts(id) -> 'total' from bilag.export_runs")
    assert runs == [(1,), (1,)], "each run had the claim"


def test_what_is_still_there_is_never_released(org: Organisation, vendor: Vendor, claim: UUID) -> None:
    org.database.sql(RELEASE, claim)
    vendor.work()
    assert shown(org) == ("booked", "still_there")
    assert audited(org) == ["claim.release_requested", "claim.release_refused"]
    export(org, vendor)
    assert list(vendor.posts.values()) == [1]
    vendor.delete(reference(org))
    org.database.sql(RELEASE, claim)
    vendor.work()
    export(org, vendor)
    assert sorted(vendor.posts.values()) == [1, 1]


def test_a_look_that_cannot_tell_is_made_again_and_releases_nothing(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    vendor.delete(reference(org))
    org.database.sql(RELEASE, claim)
    worker.settle(worker.claim_one(), {"outcome": "unknown", "message": "Half of it is there."})
    assert org.states() == {"C-1": "exported"}
    assert org.database.value("select reason from bilag.claim_exports") == "Half of it is there."
    assert worker.claim() == []
    bilag.advance(minutes=5)
    vendor.work()
    assert org.states() == {"C-1": "voided"}


def test_a_release_whose_claim_somebody_holds_is_made_at_the_next_look(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    vendor.delete(reference(org))
    org.database.sql(RELEASE, claim)
    job = worker.claim_one()
    held = org.database.connect(autocommit=False)
    held.execute("select from bilag.expense_claims for update")
    worker.settle(job, "absent")
    assert org.states() == {"C-1": "exported"}
    held.rollback()
    bilag.advance(minutes=5)
    vendor.work()
    assert org.states() == {"C-1": "voided"}


def test_where_nothing_can_be_looked_up_the_persons_word_counts(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    bilag.type("blind", finds=False)
    org.integration("blind", books=False)
    org.map("Taxi", "1", kind="blind")
    claim = org.claim("C-1")
    org.request(kind="blind")
    worker.work()
    org.database.sql("select bilag.release_for_reexport(%s, 'blind', 'gone')", claim)
    org.request(kind="blind")
    assert [job["kind"] for job in worker.work()] == ["post"]
    assert org.database.sql("select revision, state from bilag.export_items order by id") == [
        (1, "voided"),
        (2, "exported"),
    ]
    run = org.database.value("select bilag.reverse_export(%s, 'blind', %s, 'wrong')", claim, DAY)
    assert [job["kind"] for job in worker.work()] == ["post"]
    assert org.status(run)["status"] == "succeeded"


def test_what_was_booked_elsewhere_is_released_on_the_persons_word(org: Organisation, vendor: Vendor) -> None:
    claim = org.claim("C-1")
    org.database.sql("select bilag.mark_booked(%s, 'xledger', '77', 'by hand')", claim)
    with refused("KB004", "booked elsewhere"):
        org.database.sql(REVERSE, claim, DAY)
    org.database.sql(RELEASE, claim)
    export(org, vendor)
    assert shown(org) == ("booked", None)


def test_a_second_release_changes_nothing(org: Organisation, vendor: Vendor, claim: UUID) -> None:
    vendor.delete(reference(org))
    org.database.sql(RELEASE, claim)
    org.database.sql(RELEASE, claim)
    with refused("KB004", "is being released"):
        org.database.sql(REVERSE, claim, DAY)
    vendor.work()
    with refused("KB004", "was released already"):
        org.database.sql(RELEASE, claim)
    with refused("KB004", "was released already"):
        org.database.sql(REVERSE, claim, DAY)
    assert audited(org) == ["claim.release_requested", "claim.released"]
