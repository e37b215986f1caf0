"""At most one item holds a claim per integration, and only one booking integration holds it at all."""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg
import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused
from tests.sql.sessions import two_sessions

CLAIM: LiteralString = "select bilag_internal.claim_exports(%s, 1, 60, 150)"


def second_integration(bilag: Bilag, org: Organisation, **columns: Any) -> None:
    bilag.type("other")
    org.integration("other", **columns)
    org.map("Taxi", "6000", kind="other")


def test_a_second_booking_integration_does_not_get_what_the_first_holds(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    second_integration(bilag, org)
    org.claim("C-1")
    org.request()
    worker.claim()
    org.request(kind="other")
    worker.work()
    assert (org.states(), org.states("other")) == ({"C-1": "sending"}, {})
    assert org.preview(kind="other")["wouldBook"] == 0


def test_two_booking_integrations_that_start_together_share_the_claims_without_doubling_one(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    second_integration(bilag, org)
    org.approve(20)
    runs = [org.request(), org.request(kind="other")]
    worker.work()
    taken = [*org.states().values(), *org.states("other").values()]
    assert taken == ["exported"] * 20
    assert [org.status(run)["status"] for run in runs] == ["succeeded", "succeeded"]


def test_two_workers_that_start_two_booking_integrations_at_once_double_nothing(
    bilag: Bilag, database: Database, org: Organisation, worker: FakeWorker
) -> None:
    second_integration(bilag, org)
    org.approve(5)
    org.request()
    org.request(kind="other")
    with two_sessions(database) as (first, second):
        first.run(CLAIM, worker.id)
        claiming = second.start(CLAIM, worker.id)
        second.is_blocked(claiming)
        first.commit()
        claiming.result(20)
        second.commit()
    holders = database.sql("select claim_id, count(*) from bilag.export_items where holds group by 1")
    assert len(holders) == 5
    assert {count for _, count in holders} == {1}


def test_a_copy_takes_what_another_integration_books(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    second_integration(bilag, org, books=False)
    org.claim("C-1")
    org.request()
    worker.work()
    org.request(kind="other")
    worker.work()
    assert (org.states(), org.states("other")) == ({"C-1": "exported"}, {"C-1": "exported"})
    org.request(kind="other")
    worker.work()
    assert bilag.database.value("select count(*) from bilag.export_items") == 2


def test_a_copy_that_goes_first_does_not_keep_the_claim_from_being_booked(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    second_integration(bilag, org, books=False)
    org.claim("C-1")
    org.request(kind="other")
    worker.work()
    assert not bilag.database.value("select booked from bilag.expense_claims")
    org.request()
    worker.work()
    assert bilag.database.value("select booked from bilag.expense_claims")


@pytest.mark.parametrize("index", ["one_item_holds_a_claim_per_integration", "one_booking_integration_holds_a_claim"])
def test_the_indexes_alone_keep_a_claim_from_being_held_twice(
    bilag: Bilag, org: Organisation, worker: FakeWorker, index: str
) -> None:
    second_integration(bilag, org)
    org.claim("C-1")
    org.request()
    worker.work()
    integration = "integration_id" if index.endswith("integration") and "per" in index else "(select id from other)"
    with pytest.raises(psycopg.errors.UniqueViolation, match=index):
        bilag.database.connect().execute(
            "with other as (select id from bilag.integration_config where integration_type = 'other')"
            " insert into bilag.export_items (org_id, integration_id, integration_type, claim_id, state, holds, books,"
            f" reference, created_at) select org_id, {integration}, integration_type, claim_id, state, true, %s,"
            " reference, created_at from bilag.export_items".encode(),
            [not index.endswith("integration")],
        )


def test_a_claim_that_is_being_reopened_when_a_run_starts_is_left_for_the_next(
    database: Database, org: Organisation, worker: FakeWorker
) -> None:
    claim = org.claim("C-1")
    org.claim("C-2")
    org.request()
    with two_sessions(database) as (person, starting):
        person.run("select bilag.reopen_claim(%s, 'typing')", claim)
        working = starting.start(CLAIM, worker.id)
        assert not starting.is_blocked(working), "a start does not wait for a person"
        starting.commit()
        person.commit()
    assert org.states() == {"C-2": "sending"}


def test_a_claim_cannot_be_reopened_between_being_read_and_being_held(
    database: Database, org: Organisation, worker: FakeWorker
) -> None:
    claim = org.claim("C-1")
    org.request()
    with two_sessions(database) as (starting, person):
        starting.run(CLAIM, worker.id)
        reopening = person.start("select bilag.reopen_claim(%s, 'typing')", claim)
        assert person.is_blocked(reopening)
        starting.commit()
        with pytest.raises(psycopg.Error) as caught:
            reopening.result(20)
        assert caught.value.sqlstate == "KB008"
    assert org.states() == {"C-1": "sending"}


def test_a_claim_that_another_booking_integration_is_just_taking_is_not_marked_as_booked(
    bilag: Bilag, database: Database, org: Organisation, worker: FakeWorker
) -> None:
    second_integration(bilag, org)
    claim = org.claim("C-1")
    org.request(kind="other")
    with two_sessions(database) as (starting, person):
        starting.run(CLAIM, worker.id)
        marking = person.start("select bilag.mark_booked(%s, 'xledger', '17', 'by hand')", claim)
        assert person.is_blocked(marking)
        starting.commit()
        with refused("KB008", "is being exported"):
            marking.result(20)
    assert (org.states(), org.states("other")) == ({}, {"C-1": "sending"})


def test_what_a_copy_holds_may_be_marked_as_booked_by_hand(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    second_integration(bilag, org, books=False)
    claim = org.claim("C-1")
    org.request(kind="other")
    worker.claim_one()
    bilag.database.sql("select bilag.mark_booked(%s, 'xledger', '17', 'by hand')", claim)
    assert (org.states(), org.states("other")) == ({"C-1": "exported"}, {"C-1": "sending"})
