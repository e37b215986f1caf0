"""What was approved is what is booked: approved claims and their lines do not change, also not between two sessions."""

from __future__ import annotations

from datetime import timedelta
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused
from tests.sql.sessions import two_sessions

APPROVE: LiteralString = "update bilag.expense_claims set status = 'approved' where id = %s"
ADD_LINE: LiteralString = (
    "insert into bilag.expense_claim_lines (org_id, claim_id, line_no, category, amount) values (%s, %s, 9, 'Taxi', 1)"
)


def test_an_approved_claim_does_not_change(org: Organisation) -> None:
    org.claim("C-1")
    changes = [
        "claim_number = 'C-9'", "currency = 'EUR'", "claimant_name = 'Kari'", "claimant_reference = 'E9'",
        "documentation_url = 'https://x'", "approved_at = approved_at + interval '1 day'", "claimant_user_id = id",
        "approved_in = null",
    ]  # fmt: skip
    for change in changes:
        with refused("KB006", "Claim C-1 is approved"):
            org.connection.execute(f"update bilag.expense_claims set {change}".encode())


def test_the_lines_of_an_approved_claim_do_not_change(org: Organisation) -> None:
    org.claim("C-1")
    changes: list[LiteralString] = [
        "update bilag.expense_claim_lines set amount = 2",
        "update bilag.expense_claim_lines set category = 'Meals'",
        "delete from bilag.expense_claim_lines",
        "delete from bilag.expense_claims",
    ]
    for change in changes:
        with refused("KB006", "C-1"):
            org.database.sql(change)


def test_an_approved_claim_gets_no_new_line(org: Organisation) -> None:
    claim = org.claim("C-1")
    with refused("KB006"):
        org.database.sql(ADD_LINE, org.id, claim)


def test_one_approved_claim_among_many_refuses_the_whole_statement(org: Organisation) -> None:
    org.claim("C-1", status="draft")
    org.claim("C-2")
    with refused("KB006", "C-2"):
        org.database.sql("update bilag.expense_claim_lines set amount = 7")
    assert org.database.sql("select distinct amount::text from bilag.expense_claim_lines") == [("100.50",)]


def test_a_line_cannot_be_moved_into_an_approved_claim(org: Organisation) -> None:
    draft, approved = org.claim("C-1", status="draft"), org.claim("C-2")
    with refused("KB006", "C-2"):
        org.database.sql(
            "update bilag.expense_claim_lines set claim_id = %s, line_no = 5 where claim_id = %s", approved, draft
        )


def test_a_draft_changes_freely(org: Organisation) -> None:
    claim = org.claim("C-1", status="draft")
    org.database.sql("update bilag.expense_claims set currency = 'EUR', claim_number = 'C-2'")
    org.database.sql(ADD_LINE, org.id, claim)
    org.database.sql("delete from bilag.expense_claims")


def test_no_claim_changes_its_organisation_or_id(bilag: Bilag, org: Organisation) -> None:
    other = bilag.organisation("Other")
    org.claim("C-1", status="draft")
    with refused("KB006", "keeps its id and organisation"):
        org.database.sql("update bilag.expense_claims set org_id = %s", other.id)
    with refused("KB006", "keeps its id and organisation"):
        org.database.sql("update bilag.expense_claims set id = %s", uuid4())


def test_an_approval_has_a_time_its_own_or_now(org: Organisation) -> None:
    earlier = NOON - timedelta(days=1)
    org.claim("C-1", approved_at=earlier)
    org.claim("C-2")
    org.claim("C-3", status="submitted")
    org.database.sql("update bilag.expense_claims set status = 'approved' where claim_number = 'C-3'")
    times = org.database.sql("select approved_at from bilag.expense_claims order by claim_number")
    assert times == [(earlier,), (NOON,), (NOON,)]


def test_approving_again_in_the_same_words_changes_nothing(org: Organisation) -> None:
    claim = org.claim("C-1")
    org.database.sql(APPROVE, claim)
    assert org.database.value("select status from bilag.expense_claims") == "approved"


def test_a_claim_goes_back_to_draft_only_when_nothing_holds_it(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.database.sql("update bilag.expense_claims set status = 'draft'")
    assert org.database.value("select approved_at from bilag.expense_claims") is None
    org.database.sql("update bilag.expense_claims set status = 'approved'")
    org.request()
    job = worker.claim_one()
    for status in ("draft", "withdrawn", "rejected"):
        with refused("KB008", "C-1 is being exported to xledger"):
            org.database.sql("update bilag.expense_claims set status = %s", status)
    worker.settle(job)
    with refused("KB008"):
        org.database.sql("update bilag.expense_claims set status = 'draft'")


def test_booked_is_the_machinerys_word(org: Organisation) -> None:
    org.claim("C-1", booked=True)
    assert not org.database.value("select booked from bilag.expense_claims")


def test_an_amount_is_money(org: Organisation) -> None:
    claim = org.claim("C-1", status="draft")
    for amount in ("0.001", "1000000000000", "NaN"):
        with pytest.raises(psycopg.errors.CheckViolation, match="amount_is_money"):
            org.database.sql("update bilag.expense_claim_lines set amount = %s where claim_id = %s", amount, claim)


def test_a_line_belongs_to_a_claim_of_its_own_organisation(bilag: Bilag, org: Organisation) -> None:
    other = bilag.organisation("Other")
    claim = org.claim("C-1", status="draft")
    with pytest.raises(psycopg.errors.ForeignKeyViolation, match="line_belongs_to_a_claim_of_its_organisation"):
        org.database.sql(ADD_LINE, other.id, claim)


def test_a_line_that_is_being_inserted_is_in_the_claim_that_is_approved(database: Database, org: Organisation) -> None:
    claim = org.claim("C-1", status="submitted")
    with two_sessions(database) as (typing, approving):
        typing.run(ADD_LINE, org.id, claim)
        approval = approving.start(APPROVE, claim)
        assert approving.is_blocked(approval)
        typing.commit()
        approval.result(20)
        approving.commit()
    assert database.value("select count(*) from bilag.expense_claim_lines") == 2


LATE: list[LiteralString] = [
    "insert into bilag.expense_claim_lines select org_id, id, 9, 'x', null, null, 1 from bilag.expense_claims",
    "update bilag.expense_claim_lines set amount = 7",
    "delete from bilag.expense_claim_lines",
]


@pytest.mark.parametrize("change", LATE)
def test_a_line_that_comes_while_its_claim_is_being_approved_comes_too_late(
    database: Database, org: Organisation, change: LiteralString
) -> None:
    claim = org.claim("C-1", status="submitted")
    with two_sessions(database) as (approving, typing):
        approving.run(APPROVE, claim)
        typed = typing.start(change)
        assert typing.is_blocked(typed)
        approving.commit()
        with pytest.raises(psycopg.Error) as caught:
            typed.result(20)
        assert caught.value.sqlstate == "KB006"
    assert database.sql("select amount::text from bilag.expense_claim_lines") == [("100.50",)]


def test_lines_may_be_written_in_the_transaction_that_approves(database: Database, org: Organisation) -> None:
    claim = org.claim("C-1", status="draft")
    with database.connect().transaction() as transaction:
        transaction.connection.execute(APPROVE, [claim])
        transaction.connection.execute(ADD_LINE, [org.id, claim])
        transaction.connection.execute("update bilag.expense_claim_lines set amount = 5 where line_no = 9")
    with refused("KB006"):
        database.sql("update bilag.expense_claim_lines set amount = 6 where line_no = 9")
