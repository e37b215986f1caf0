"""What people decide about single claims, and what they know of one in doubt."""

from __future__ import annotations

from typing import Any, LiteralString
from uuid import UUID

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused

MARK: LiteralString = "select bilag.mark_booked(%s, 'xledger', 'V-17', 'by hand')"
EXCLUDE: LiteralString = "select bilag.exclude_claim(%s, 'xledger', 'private')"
INCLUDE: LiteralString = "select bilag.include_claim(%s, 'xledger')"
REOPEN: LiteralString = "select bilag.reopen_claim(%s, 'wrong amount')"
RESOLVE: LiteralString = "select bilag.resolve_in_doubt(%s, 'xledger', %s, %s, 'asked the accountant')"


def audited(org: Organisation) -> list[tuple[Any, ...]]:
    return org.database.sql(
        "select action, note, details from bilag.bufdir_export_audit_log where action like 'claim.%%' order by id"
    )


def doubtful(org: Organisation, worker: FakeWorker) -> UUID:
    claim = org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "unknown")
    return claim


def test_a_claim_that_was_booked_elsewhere_is_never_exported(org: Organisation, worker: FakeWorker) -> None:
    claim = org.claim("C-1")
    org.database.sql(MARK, claim)
    org.request()
    worker.work()
    assert org.database.sql("select state, external_id, reason_code from bilag.export_items") == [
        ("exported", "V-17", "booked_elsewhere")
    ]
    assert org.database.value("select booked from bilag.expense_claims")
    assert audited(org) == [
        ("claim.marked_booked", "by hand", {"claimId": str(claim), "claimNumber": "C-1", "voucherNumber": "V-17"})
    ]


def test_a_rejected_claim_may_be_marked_booked(org: Organisation, worker: FakeWorker) -> None:
    claim = org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "rejected")
    org.database.sql(MARK, claim)
    assert org.states() == {"C-1": "exported"}


def test_what_is_under_way_booked_or_not_approved_is_not_marked_booked(org: Organisation, worker: FakeWorker) -> None:
    draft = org.claim("draft", status="draft")
    with refused("KB004", "draft is draft, not approved"):
        org.database.sql(MARK, draft)
    claim = org.claim("C-1")
    org.request()
    job = worker.claim_one()
    with refused("KB008", "C-1 is being exported to xledger"):
        org.database.sql(MARK, claim)
    worker.settle(job)
    with refused("KB008", "C-1 is booked by xledger"):
        org.database.sql(MARK, claim)


def test_an_excluded_claim_stays_out_until_it_is_included(org: Organisation, worker: FakeWorker) -> None:
    claim = org.claim("C-1")
    org.database.sql(EXCLUDE, claim)
    org.request()
    worker.work()
    assert (org.states(), org.preview()["wouldBook"]) == ({}, 0)
    org.database.sql(EXCLUDE, claim)
    org.database.sql(INCLUDE, claim)
    org.request()
    worker.work()
    assert org.states() == {"C-1": "exported"}
    assert [action for action, _, _ in audited(org)] == ["claim.excluded", "claim.excluded", "claim.included"]


def test_a_claim_that_is_held_cannot_be_excluded(org: Organisation, worker: FakeWorker) -> None:
    claim = org.claim("C-1")
    org.request()
    job = worker.claim_one()
    with refused("KB008", "C-1 is being exported to xledger"):
        org.database.sql(EXCLUDE, claim)
    worker.settle(job, "unknown")
    with refused("KB008", "not known yet whether it is booked"):
        org.database.sql(EXCLUDE, claim)


def test_an_exclusion_is_for_one_integration(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    bilag.type("copy")
    org.integration("copy", books=False)
    org.map("Taxi", "1", kind="copy")
    org.database.sql(EXCLUDE, org.claim("C-1"))
    org.request(kind="copy")
    worker.work()
    assert org.states("copy") == {"C-1": "exported"}


def test_a_reopened_claim_is_a_draft_that_may_change_and_be_approved_again(
    org: Organisation, worker: FakeWorker
) -> None:
    claim = org.claim("C-1")
    org.database.sql(REOPEN, claim)
    assert org.database.sql("select status, approved_at from bilag.expense_claims") == [("draft", None)]
    org.database.sql("update bilag.expense_claim_lines set amount = 9")
    org.database.sql("update bilag.expense_claims set status = 'approved'")
    org.request()
    (item,) = worker.claim_one()["items"]
    assert item["voucher"]["lines"][0]["amount"] == "9.00"
    assert audited(org)[0][:2] == ("claim.reopened", "wrong amount")


def test_only_an_approved_claim_that_nothing_holds_is_reopened(org: Organisation, worker: FakeWorker) -> None:
    with refused("KB004", "not approved"):
        org.database.sql(REOPEN, org.claim("draft", status="draft"))
    claim = org.claim("C-1")
    org.request()
    worker.claim()
    with refused("KB008"):
        org.database.sql(REOPEN, claim)


def test_a_person_who_knows_that_it_is_booked_settles_it(org: Organisation, worker: FakeWorker) -> None:
    claim = doubtful(org, worker)
    run = org.database.value("select id from bilag.export_runs")
    org.database.sql(RESOLVE, claim, "booked", "GL-9")
    assert org.database.sql("select state, external_id, next_look_at from bilag.export_items") == [
        ("exported", "GL-9", None)
    ]
    assert org.status(run)["status"] == "succeeded"
    assert org.database.value("select count(*) from bilag.export_report(%s)", run) == 2
    assert audited(org)[0] == (
        "claim.resolved", "asked the accountant",
        {"claimId": str(claim), "claimNumber": "C-1", "outcome": "booked", "voucherNumber": "GL-9"},
    )  # fmt: skip


def test_the_look_that_was_in_flight_when_a_person_said_booked_raises_no_alarm(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    claim = doubtful(org, worker)
    bilag.advance(seconds=10)
    look = worker.claim_one()
    org.database.sql(RESOLVE, claim, "booked", "77")
    worker.settle(look, "exported")
    assert bilag.database.sql("select kind from bilag.alerts") == []


def test_not_booked_orders_one_last_look_and_releases_only_what_is_absent(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    claim = doubtful(org, worker)
    bilag.advance(minutes=2)
    worker.settle(worker.claim_one(), "unknown")
    org.database.sql(RESOLVE, claim, "not_booked", None)
    look = worker.claim_one()
    assert look["kind"] == "find"
    worker.settle(look, "absent")
    assert org.database.sql("select state, reason_code, holds from bilag.export_items") == [
        ("voided", "not_booked", False)
    ]
    org.request()
    worker.work()
    assert org.states() == {"C-1": "exported"}


def test_the_last_look_believes_the_vendor_and_not_the_person(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    claim = doubtful(org, worker)
    bilag.advance(minutes=2)
    org.database.sql(RESOLVE, claim, "not_booked", None)
    worker.settle(worker.claim_one(), "exported")
    assert org.states() == {"C-1": "exported"}


def test_a_last_look_that_cannot_tell_leaves_it_in_doubt(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    claim = doubtful(org, worker)
    bilag.advance(minutes=2)
    org.database.sql(RESOLVE, claim, "not_booked", None)
    worker.settle(worker.claim_one(), "unknown")
    assert org.states() == {"C-1": "in_doubt"}
    bilag.advance(hours=1)
    worker.settle(worker.claim_one(), "absent")
    assert org.states() == {"C-1": "voided"}, "the order stands until a look can tell"


def test_what_vanished_is_released_when_a_person_says_so_and_the_vendor_agrees(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    claim = org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "accepted")
    bilag.advance(minutes=2)
    worker.settle(worker.claim_one(), "absent")
    assert org.states() == {"C-1": "in_doubt"}
    org.database.sql(RESOLVE, claim, "not_booked", None)
    worker.settle(worker.claim_one(), "absent")
    assert org.states() == {"C-1": "voided"}


@pytest.mark.parametrize("word", [None, "", "  "])
def test_a_decision_without_its_word_is_refused_and_changes_nothing(
    bilag: Bilag, org: Organisation, worker: FakeWorker, word: str | None
) -> None:
    claim = doubtful(org, worker)
    with refused("KB001", "is not an outcome"):
        org.database.sql(RESOLVE, claim, word, None)
    assert org.database.value("select last_look from bilag.export_items") is False, "nobody said not_booked"
    other = org.claim("C-2")
    with refused("KB001", "voucher_number is empty"):
        org.database.sql("select bilag.mark_booked(%s, 'xledger', %s, 'by hand')", other, word)
    with refused("KB001", "reason is empty"):
        org.database.sql("select bilag.exclude_claim(%s, 'xledger', %s)", other, word)
    assert audited(org) == []


def test_only_what_is_in_doubt_is_resolved_and_only_by_two_words(org: Organisation, worker: FakeWorker) -> None:
    claim = org.claim("C-1")
    with refused("KB001", "'perhaps'"):
        org.database.sql(RESOLVE, claim, "perhaps", None)
    with refused("KB004", "not in doubt"):
        org.database.sql(RESOLVE, claim, "booked", None)
    org.request()
    worker.work()
    with refused("KB004"):
        org.database.sql(RESOLVE, claim, "not_booked", None)


@pytest.mark.parametrize("call", [MARK, EXCLUDE, INCLUDE, REOPEN])
def test_only_finance_of_the_claims_organisation_decides(bilag: Bilag, org: Organisation, call: LiteralString) -> None:
    claim = org.claim("C-1")
    for person, code in ((org.member("member"), "KB003"), (bilag.organisation("Other").member(), "KB002")):
        with bilag.database.as_user(person) as connection, refused(code):
            connection.execute(call, [claim])
    with bilag.database.as_user(org.member()) as connection:
        connection.execute(call, [claim])
    with refused("KB002", "There is no claim"):
        org.database.sql(call, org.id)
