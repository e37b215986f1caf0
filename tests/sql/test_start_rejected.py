"""When a claim that was rejected is tried again, and when it is left alone."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.fix_bilag import Line, Organisation
from tests.sql.fake_worker import FakeWorker
from tests.sql.rooms import room
from worker.settings_schema import DISCRIMINATOR, AdapterSettings


def items_of(org: Organisation, number: str) -> int:
    count = org.database.value(
        "select count(*) from bilag.export_items i join bilag.expense_claims c on c.id = i.claim_id"
        " where c.org_id = %s and c.claim_number = %s",
        org.id,
        number,
    )
    assert isinstance(count, int)
    return count


def export(org: Organisation, worker: FakeWorker) -> None:
    org.request()
    worker.work()


def reject(org: Organisation, worker: FakeWorker) -> None:
    """C-1 is rejected by the vendor."""
    org.claim("C-1", claimant_reference="E1")
    org.request()
    worker.settle(worker.claim_one(), "rejected")
    assert org.states() == {"C-1": "rejected"}


def test_a_rejected_claim_that_nobody_touched_is_left_alone(org: Organisation, worker: FakeWorker) -> None:
    reject(org, worker)
    org.claim("C-2")
    run = org.request()
    worker.work()
    assert org.status(run)["claims"]["total"] == 1
    assert org.states() == {"C-1": "rejected", "C-2": "exported"}


def change_the_claim(org: Organisation) -> None:
    claim = org.database.value("select id from bilag.expense_claims where claim_number = 'C-1'")
    org.database.sql("select bilag.reopen_claim(%s, 'wrong amount')", claim)
    org.database.sql("update bilag.expense_claim_lines set amount = 99")
    org.database.sql("update bilag.expense_claims set status = 'approved'")


def change_the_mapping(org: Organisation) -> None:
    org.database.sql("update bilag.account_mappings set account_code = '7145' where category = 'Taxi'")


def change_a_dimension(org: Organisation) -> None:
    org.database.sql("""update bilag.account_mappings set dimensions = '{"PROJECT": "P1"}' where category = 'Taxi'""")


def change_the_vat_code(org: Organisation) -> None:
    org.database.sql("update bilag.account_mappings set vat_code = '12' where category = 'Taxi'")


def change_the_settlement_account(org: Organisation) -> None:
    org.configure(settlement_account="2990")


def change_the_settlement(org: Organisation) -> None:
    org.configure(settlement="subledger")


def change_the_posting_date(org: Organisation) -> None:
    org.configure(posting_date="expense")


def change_what_only_the_adapter_reads(org: Organisation) -> None:
    org.configure(gl_object_2="REGION")


@pytest.mark.parametrize(
    "change",
    [
        change_the_claim, change_the_mapping, change_a_dimension, change_the_vat_code,
        change_the_settlement_account, change_the_settlement, change_the_posting_date,
        change_what_only_the_adapter_reads,
    ],
)  # fmt: skip
def test_a_rejected_claim_is_tried_again_when_it_or_a_mapping_or_a_setting_changed(
    org: Organisation, worker: FakeWorker, change: Callable[[Organisation], None]
) -> None:
    reject(org, worker)
    change(org)
    export(org, worker)
    assert org.states() == {"C-1": "exported"}
    assert items_of(org, "C-1") == 2


def test_the_settings_that_show_in_a_voucher_or_in_none_are_those_that_all_systems_share() -> None:
    (listed,) = re.findall(r"c\.settings - array\[(.*?)\]", room("30_vouchers.sql"), re.DOTALL)
    assert set(re.findall(r"'(\w+)'", listed)) == AdapterSettings.model_fields.keys() - {DISCRIMINATOR}


def test_a_change_of_something_else_does_not_try_it_again(org: Organisation, worker: FakeWorker) -> None:
    reject(org, worker)
    org.map("Sauna", "7199")
    org.configure(voucher_number_from=5000)
    org.configure(slow_after_ms=5000)
    export(org, worker)
    assert items_of(org, "C-1") == 1


def test_an_unmapped_claim_is_tried_again_once_its_category_is_mapped(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1", Line("Sauna", "1"))
    export(org, worker)
    export(org, worker)
    assert items_of(org, "C-1") == 1
    org.map("Sauna", "7199")
    export(org, worker)
    assert org.states() == {"C-1": "exported"}


def test_a_rejection_for_another_reason_is_told_anew(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1", Line("Sauna", "1"), Line("Yacht", "1"))
    export(org, worker)
    org.map("Sauna", "7199")
    export(org, worker)
    reasons = org.database.sql("select reason_params ->> 'category' from bilag.export_items order by id")
    assert reasons == [("Sauna",), ("Yacht",)]


def test_a_retry_tries_every_rejected_claim_since_the_change_may_be_the_vendors(
    org: Organisation, worker: FakeWorker
) -> None:
    reject(org, worker)
    failed_run = org.database.value("select id from bilag.export_runs")
    org.database.sql("select bilag.retry_export(%s)", failed_run)
    worker.work()
    assert org.states() == {"C-1": "exported"}


def test_a_claim_keeps_its_reference_when_it_is_tried_again(org: Organisation, worker: FakeWorker) -> None:
    reject(org, worker)
    change_the_mapping(org)
    export(org, worker)
    rows = org.database.sql("select reference, revision, voucher_number from bilag.export_items order by id")
    (first, second) = rows
    assert first[0] == second[0]
    assert (first[1], second[1]) == (1, 1)
    assert first[2] != second[2], "a voucher number is never reused"
