"""A reversal takes its own number, run and lines, waits for its own look, and leaves alone what stands beside it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.fix_bilag import Bilag, Line, Organisation
from tests.sql.correcting import alerts
from tests.sql.fake_worker import FakeWorker, failed
from tests.sql.refusals import refused
from tests.sql.vendor_with_memory import DAY, REVERSE, Vendor, export, shown


@pytest.fixture
def vendor(worker: FakeWorker) -> Vendor:
    return Vendor(worker)


@pytest.fixture
def claim(org: Organisation, vendor: Vendor) -> UUID:
    return vendor.book(org)


def mirror(org: Organisation) -> dict[str, Any]:
    """The item that reverses another one."""
    names = ("voucher_number", "amount", "posting_date", "books", "state", "sent_at", "looks", "credential_version")
    (row,) = org.database.sql(
        "select voucher_number, amount::text, posting_date::text, books, state, sent_at, looks, credential_version"
        " from bilag.export_items where reverses is not null and org_id = %s order by id desc limit 1",
        org.id,
    )
    return dict(zip(names, row, strict=True))


def test_a_reversal_takes_the_next_number_of_its_own_lane_and_no_smaller_one_than_the_settings_say(
    bilag: Bilag, org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    other = bilag.organisation("Andre")
    vendor.book(other)
    org.configure(voucher_number_from=500.0)
    org.database.sql(REVERSE, claim, DAY)
    assert mirror(org)["voucher_number"] == 500
    last = org.database.sql("select org_id, voucher_number_last from bilag.export_lanes")
    assert dict(last) == {org.id: 500, other.id: 1}


def test_the_next_voucher_is_numbered_after_the_reversal(org: Organisation, vendor: Vendor, claim: UUID) -> None:
    org.database.sql(REVERSE, claim, DAY)
    vendor.book(org, "C-2")
    assert sorted(voucher["voucherNumber"] for voucher in vendor.holds.values()) == [1, 2, 3]


def test_the_sums_of_a_reversal_are_minus_those_of_its_original(
    bilag: Bilag, org: Organisation, vendor: Vendor
) -> None:
    claim = org.claim("C-1", Line("Taxi", "80"), Line("Meals", "20.25"))
    export(org, vendor)
    run = org.database.value(REVERSE, claim, "2026-03-09")
    vendor.work()
    assert mirror(org)["amount"] == "-100.25"
    sums = org.database.value("select details -> 'sums' from bilag.bufdir_export_audit_log where run_id = %s", run)
    assert sums == {"NOK": "-100.25"}
    (booked,) = [voucher for voucher in vendor.holds.values() if voucher["postingDate"] == "2026-03-09"]
    assert (booked["documentDate"], booked["revision"]) == ("2026-03-09", 1)
    assert [line["lineNo"] for line in booked["lines"]] == sorted(line["lineNo"] for line in booked["lines"])


def test_a_run_that_waits_for_its_turn_still_has_it_after_a_reversal(
    org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    org.database.sql("select bilag.pause_integration(%s, 'xledger', 'holiday')", org.id)
    org.claim("C-2")
    queued = org.request()
    reversing = org.database.value(REVERSE, claim, DAY)
    before = org.database.sql("select status, due_at < 'infinity' from bilag.export_runs where id = %s", queued)
    assert before == [("queued", True)]
    org.database.sql("select bilag.resume_integration(%s, 'xledger')", org.id)
    vendor.work()
    assert [org.status(run)["status"] for run in (queued, reversing)] == ["succeeded", "succeeded"]
    assert [org.status(run)["claims"]["exported"] for run in (queued, reversing)] == [1, 1]
    counted = org.database.sql("select item_count from bilag.export_runs order by enqueued_at, id = %s", reversing)
    assert counted == [(1,), (1,), (1,)]


def test_two_reversals_at_once_wait_each_for_its_own_original(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    other = vendor.book(org, "C-2")
    bilag.database.sql("update bilag.integration_types set vouchers_per_batch = 1")
    runs = [org.database.value(REVERSE, which, DAY) for which in (claim, other)]
    look = worker.claim_one()
    worker.settle(look, "exported", release=True)
    waiting = [org.status(run)["waitingFor"]["reasonCode"] for run in runs]
    first = look["items"][0]["voucher"]["claimNumber"]
    assert waiting == (["in_doubt", "verifying_original"] if first == "C-1" else ["verifying_original", "in_doubt"])
    begun = org.database.sql("select state from bilag.export_items where reverses is not null order by 1")
    assert begun == [("in_doubt",), ("pending",)]
    vendor.work()
    assert [org.status(run)["status"] for run in runs] == ["succeeded", "succeeded"]
    assert set(vendor.posts.values()) == {1}
    assert [len(voucher["lines"]) for voucher in vendor.holds.values()] == [2, 2, 2, 2]
    assert vendor.sums() == {"7140": Decimal(0), "2910": Decimal(0)}


def test_one_of_two_reversals_whose_original_is_absent_does_not_end_the_other(
    bilag: Bilag, org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    other = vendor.book(org, "C-2")
    (gone,) = [name for name, voucher in vendor.holds.items() if voucher["claimNumber"] == "C-1"]
    vendor.delete(gone)
    runs = [org.database.value(REVERSE, which, DAY) for which in (claim, other)]
    vendor.work()
    assert [org.status(run)["status"] for run in runs] == ["failed", "succeeded"]


def test_the_mirror_is_looked_for_since_its_original_was_made(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    made = org.database.value("select created_at from bilag.export_items")
    bilag.advance(days=3)
    run = org.database.value(REVERSE, claim, DAY)
    assert org.status(run)["waitingFor"]["since"][:10] == (made + timedelta(days=3)).date().isoformat()
    (find,) = worker.settle(worker.claim_one())
    assert find["kind"] == "find"
    assert mirror(org)["sent_at"] == made, "in a life that was forgotten it may have been sent at any time since"


def test_a_mirror_that_a_new_credential_does_not_find_is_sent(
    org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    """The look at the original has just said that the new credential reaches its ledger."""
    org.database.sql("select bilag.set_integration_credential(%s, 'xledger', 'another one')", org.id)
    org.database.sql(REVERSE, claim, DAY)
    vendor.work()
    assert shown(org)[0] == "reversed by voucher 2"


def test_the_looks_of_a_reversal_that_was_cancelled_are_not_counted_for_the_next(
    bilag: Bilag, org: Organisation, worker: FakeWorker, claim: UUID
) -> None:
    run = org.database.value(REVERSE, claim, DAY)
    worker.settle(worker.claim_one(), "unknown", release=True)
    org.database.sql("select bilag.cancel_export(%s)", run)
    bilag.advance(hours=1)
    worker.settle(worker.claim_one(), "unknown", release=True)
    assert alerts(org) == []
    org.database.sql(REVERSE, claim, DAY)
    assert org.database.value("select looks from bilag.export_items where reverses is null") == 0


def test_a_reversal_in_another_century_is_a_slip(org: Organisation, claim: UUID) -> None:
    for day in ("1026-03-02", "2926-03-02", "-infinity"):
        with refused("KB001", "is no day to book a reversal on"):
            org.database.sql(REVERSE, claim, day)
    with refused("KB001", "null is no day"):
        org.database.sql(REVERSE, claim, None)


def test_the_look_at_the_original_does_not_wait_for_a_run_that_waits_to_try_again(
    org: Organisation, worker: FakeWorker, claim: UUID
) -> None:
    org.claim("C-2")
    org.request()
    worker.settle(worker.claim_one(), "unsent", failure=failed())
    org.database.sql(REVERSE, claim, DAY)
    assert worker.claim_one()["kind"] == "confirm"


def test_a_retry_asks_for_the_reversal_of_its_own_run_again(org: Organisation, vendor: Vendor, claim: UUID) -> None:
    other = vendor.book(org, "C-2")
    runs = [org.database.value(REVERSE, which, DAY) for which in (claim, other)]
    org.database.sql("select bilag.cancel_export(r) from unnest(%s::uuid[]) as r", runs)
    vendor.work()
    org.database.sql("select bilag.retry_export(%s)", runs[1])
    vendor.work()
    assert [voucher["claimNumber"] for voucher in vendor.holds.values()] == ["C-1", "C-2", "C-2"]
    contents = org.database.value(
        "select count(distinct content_sha256) from bilag.export_items where reverses is not null"
    )
    assert contents == 2, "the same mirror has the same content, whatever its number"


def test_the_reversal_of_a_copy_is_a_copy(bilag: Bilag, org: Organisation, vendor: Vendor) -> None:
    bilag.type("copy")
    org.integration("copy", books=False)
    org.map("Taxi", "1", kind="copy")
    claim = org.claim("C-1")
    org.request(kind="copy")
    vendor.work()
    org.database.sql("select bilag.reverse_export(%s, 'copy', %s, 'wrong')", claim, DAY)
    assert mirror(org)["books"] is False
