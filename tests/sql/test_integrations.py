"""Settings fit what the adapter announced, and what names a ledger does not change while anything is under way."""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused
from tests.sql.sessions import two_sessions

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


def test_an_integration_gets_its_lane_and_its_beginning(org: Organisation) -> None:
    assert org.database.value("select count(*) from bilag.export_lanes") == 1
    assert org.database.value("select export_from from bilag.integration_config") == NOON


def test_an_integration_keeps_its_organisation_type_and_id(bilag: Bilag, org: Organisation) -> None:
    bilag.type("other")
    changes: list[LiteralString] = [
        "update bilag.integration_config set integration_type = 'other'",
        "update bilag.integration_config set id = gen_random_uuid()",
        "update bilag.integration_config set org_id = gen_random_uuid()",
    ]
    for change in changes:
        with refused("KB006", "keeps its id, organisation and type"):
            bilag.database.sql(change)


@pytest.mark.parametrize("outcome", [None, "accepted", "unknown"])
def test_what_names_the_ledger_does_not_change_while_a_voucher_is_under_way(
    org: Organisation, worker: FakeWorker, outcome: str | None
) -> None:
    org.claim("C-1")
    org.request()
    job = worker.claim_one()
    if outcome:
        worker.settle(job, outcome)
    with refused("KB004", "Vouchers are still under way"):
        org.configure(owner_code="99")
    org.configure(settlement_account="2990")
    if outcome is None:
        worker.settle(job)
        org.configure(owner_code="99")


def test_what_is_sent_remembers_which_ledger_it_was_sent_to(org: Organisation, worker: FakeWorker) -> None:
    org.configure(owner_code="42")
    org.claim("C-1")
    org.request()
    worker.claim()
    assert "42" in org.database.value("select ledger_key from bilag.export_items")


def test_a_change_of_ledger_and_a_mark_wait_for_each_other(
    database: Database, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    with two_sessions(database) as (sending, changing):
        sending.run("select bilag_internal.claim_exports(%s, 1, 60, 150)", worker.id)
        change = changing.start(
            "update bilag.integration_config set settings = settings || %s", Jsonb({"owner_code": "99"})
        )
        assert changing.is_blocked(change)
        sending.commit()
        with pytest.raises(psycopg.Error) as caught:
            change.result(20)
        assert caught.value.sqlstate == "KB004"


def test_there_is_one_integration_of_a_type_per_organisation(org: Organisation) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation, match="one_integration_of_a_type_per_organisation"):
        org.integration()


def test_one_organisations_uncomputable_setting_stops_only_its_own_run(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    other = bilag.organisation("Other")
    org.claim("C-1")
    other.claim("O-1")
    runs = org.request(), other.request()
    bilag.database.sql("alter table bilag.integration_config disable trigger check_integration")
    org.configure(voucher_number_from=10**30)
    worker.work()
    assert [org.status(run)["status"] for run in runs] == ["failed", "succeeded"]
    assert org.status(runs[0])["error"]["message"].startswith("The vouchers could not be built: ")
