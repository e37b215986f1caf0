"""Adapters announce their types, and settings fit what was announced."""

from __future__ import annotations

from typing import Any

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.sql.refusals import refused

FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"colour": "red"}, "There is no setting colour; there are: base_url, "),
    ({"settlement_account": 2910}, "The setting settlement_account must be of type "),
    ({"settlement": "cash"}, "The setting settlement must be one of "),
    ({"posting_date": "yesterday"}, "The setting posting_date must be one of "),
    ({"closed_period": "ignore"}, "The setting closed_period must be one of "),
    ({"base_url": "ftp://x"}, "The setting base_url does not have the form "),
    ({"voucher_number_from": 0}, "The setting voucher_number_from must be at least "),
    ({"voucher_number_from": "7"}, "The setting voucher_number_from must be of type "),
    ({"voucher_number_from": 1.5}, "The setting voucher_number_from must be of type "),
    ({"voucher_number_from": 10**30}, "The setting voucher_number_from must be at most "),
]


def test_a_setting_that_does_not_fit_is_refused_by_name(org: Organisation) -> None:
    for bad, sentence in FAULTS:
        with refused("KB007", sentence):
            org.configure(**bad)
    assert org.database.value("select settings from bilag.integration_config") == {"settlement_account": "2910"}


def test_every_announced_setting_is_accepted(org: Organisation) -> None:
    org.configure(
        currency="NOK", settlement="subledger", posting_date="period_end", closed_period="reject",
        voucher_number_from=7, base_url="http://127.0.0.1:9/graphql", transaction_source="GL", owner_code=None,
    )  # fmt: skip


def test_a_missing_required_setting_is_named(bilag: Bilag, org: Organisation) -> None:
    schema = {"properties": {"settlement_account": {"type": "string"}, "company": {"type": "string"}}}
    bilag.type("strict", settingsSchema={**schema, "required": ["company"]})
    with refused("KB007", "The setting company is missing"):
        org.integration("strict")


def test_an_unknown_type_is_refused_and_says_where_to_look(org: Organisation) -> None:
    with refused("KB002", "There is no integration type 'sap'"):
        org.integration("sap")


def test_xledger_is_announced_by_migrate_with_its_limits(bilag: Bilag) -> None:
    row = bilag.database.sql(
        "select vouchers_per_batch, lines_per_batch, confirms_later, absence_after::text, identity_settings, hosts"
        " from bilag.integration_types where integration_type = 'xledger'"
    )
    assert row == [(250, 500, True, "00:01:00", ["base_url", "owner_code"], ["www.xledger.net", "demo.xledger.net"])]


def test_announcing_again_changes_only_what_is_different_and_keeps_what_a_dba_allowed(bilag: Bilag) -> None:
    bilag.type("ours")
    bilag.database.sql("update bilag.integration_types set allowed_hosts = '{127.0.0.1}', announced_at = %s", NOON)
    bilag.type("ours")
    assert bilag.database.sql("select announced_at from bilag.integration_types where integration_type = 'ours'") == [
        (NOON,)
    ]
    bilag.type("ours", vouchersPerBatch=7)
    row = bilag.database.sql(
        "select vouchers_per_batch, allowed_hosts from bilag.integration_types where integration_type = 'ours'"
    )
    assert row == [(7, ["127.0.0.1"])]
