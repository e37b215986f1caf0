"""An integration keeps what it is, and what names a ledger does not change while anything is under way."""

from __future__ import annotations

from typing import LiteralString

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused
from tests.sql.sessions import two_sessions


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


def test_settings_that_are_no_object_are_refused_in_a_sentence(org: Organisation) -> None:
    for settings in ("[]", "17", "null", None):
        with refused("KB007", "are not a JSON object"):
            org.database.sql("update bilag.integration_config set settings = %s::jsonb", settings)


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
