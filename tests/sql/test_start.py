"""What a run takes when it starts, and how its vouchers are numbered and frozen."""

from __future__ import annotations

import pytest

from tests.fix_bilag import TAXI, Bilag, Line, Organisation
from tests.sql.fake_worker import FakeWorker


def export(org: Organisation, worker: FakeWorker) -> None:
    org.request()
    worker.work()


def test_voucher_numbers_begin_where_the_setting_says_and_have_no_gap_within_a_run(
    org: Organisation, worker: FakeWorker
) -> None:
    org.configure(voucher_number_from=41_000_000)
    org.claim("C-0", Line("Sauna", "1"))
    org.approve(3)
    export(org, worker)
    numbers = org.database.sql("select voucher_number from bilag.export_items order by position")
    assert numbers == [(None,), (41_000_000,), (41_000_001,), (41_000_002,)]


@pytest.mark.parametrize(("later", "second"), [(500, 500), (50, 101), (None, 101)])
def test_a_changed_start_of_voucher_numbers_never_goes_back(
    org: Organisation, worker: FakeWorker, later: int | None, second: int
) -> None:
    org.configure(voucher_number_from=100)
    org.approve(1, "A")
    export(org, worker)
    if later:
        org.configure(voucher_number_from=later)
    org.approve(1, "B")
    export(org, worker)
    numbers = org.database.sql("select voucher_number from bilag.export_items order by id")
    assert numbers == [(100,), (second,)]


def test_items_stand_in_the_order_of_approval(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-9")
    bilag.advance(seconds=1)
    org.claim("C-2")
    org.claim("C-1")
    export(org, worker)
    order = org.database.sql(
        "select c.claim_number from bilag.export_items i join bilag.expense_claims c on c.id = i.claim_id"
        " order by position"
    )
    assert order == [("C-9",), ("C-1",), ("C-2",)]


def test_a_frozen_voucher_is_not_touched_by_a_later_change(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1", TAXI)
    org.request()
    (sent,) = worker.claim_one()["items"]
    org.database.sql("update bilag.account_mappings set account_code = '7145' where category = 'Taxi'")
    org.configure(settlement_account="2990")
    ((kept, accounts),) = org.database.sql(
        "select voucher, array(select l ->> 'account' from jsonb_array_elements(voucher -> 'lines') as l)"
        " from bilag.export_items"
    )
    assert kept == sent["voucher"]
    assert accounts == ["7140", "2910"]


def test_only_approved_claims_are_taken(org: Organisation, worker: FakeWorker) -> None:
    for status in ("draft", "submitted", "rejected", "withdrawn", "approved"):
        org.claim(status, status=status)
    export(org, worker)
    assert org.states() == {"approved": "exported"}


def test_a_claim_that_is_booked_is_never_taken_again(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    export(org, worker)
    org.database.sql("update bilag.account_mappings set account_code = '7145' where category = 'Taxi'")
    export(org, worker)
    assert org.database.value("select count(*) from bilag.export_items") == 1
    assert org.preview()["wouldBook"] == 0
