"""Claimants, people of two organisations, and what a finance_admin writes. Every table and role: test_matrix.py."""

from __future__ import annotations

from uuid import UUID, uuid4

import psycopg
import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker


def seen(bilag: Bilag, user: UUID, table: str) -> set[UUID]:
    with bilag.database.as_user(user) as connection:
        return {org for (org,) in connection.execute(f"select distinct org_id from bilag.{table}".encode()).fetchall()}


def test_a_member_of_two_organisations_sees_both(bilag: Bilag) -> None:
    ours, theirs = bilag.organisation("Ours"), bilag.organisation("Theirs")
    for org in (ours, theirs):
        org.claim("C-1")
        org.request()
    person = ours.member()
    bilag.database.sql(
        "insert into bilag.organization_members (org_id, user_id, role) values (%s, %s, 'member')", theirs.id, person
    )
    assert seen(bilag, person, "export_runs") == {ours.id, theirs.id}
    assert seen(bilag, person, "expense_claims") == {ours.id}, "finance in one, member in the other"


def test_a_claimant_sees_their_own_claims_in_organisations_they_belong_to(bilag: Bilag, org: Organisation) -> None:
    claimant = org.member("member")
    org.claim("mine", claimant_user_id=claimant)
    org.claim("another's", claimant_user_id=uuid4())
    with bilag.database.as_user(claimant) as connection:
        assert connection.execute("select claim_number from bilag.expense_claims").fetchall() == [("mine",)]
    bilag.database.sql("delete from bilag.organization_members")
    with bilag.database.as_user(claimant) as connection:
        assert connection.execute("select claim_number from bilag.expense_claims").fetchall() == []


WRITES = {
    "account_mappings": "(org_id, integration_type, category, account_code) values (%s, 'xledger', 'New', '1')",
    "export_schedules": "(org_id, integration_type, frequency) values (%s, 'xledger', 'daily')",
    "export_runs": "(org_id, integration_type) values (%s, 'xledger')",
    "integration_config": "(org_id, integration_type, settings) values (%s, 'other', '{}')",
    "expense_claims": "(org_id, claim_number, status) values (%s, 'C-1', 'approved')",
}


def test_finance_writes_in_its_own_organisation_and_nobody_else_does(bilag: Bilag, org: Organisation) -> None:
    bilag.type("other")
    stranger = bilag.organisation("Other").member()
    for table, values in WRITES.items():
        insert = f"insert into bilag.{table} {values}".encode()
        for person in (org.member("member"), stranger, uuid4()):
            with bilag.database.as_user(person) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(insert, [org.id])
        with bilag.database.as_user(org.member()) as connection:
            connection.execute(insert, [org.id])


def test_finance_enters_a_claim_with_its_lines_and_it_is_booked(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    with bilag.database.as_user(org.member()) as connection:
        ((claim,),) = connection.execute(
            "insert into bilag.expense_claims (org_id, claim_number, status)"
            " values (%s, 'C-1', 'approved') returning id",
            [org.id],
        ).fetchall()
        connection.execute(
            "insert into bilag.expense_claim_lines (org_id, claim_id, line_no, category, amount)"
            " values (%s, %s, 1, 'Taxi', 5)",
            [org.id, claim],
        )
    org.request()
    worker.work()
    assert org.states() == {"C-1": "exported"}


def test_a_claimant_sees_the_lines_of_their_own_claims(bilag: Bilag, org: Organisation) -> None:
    claimant = org.member("member")
    mine = org.claim("mine", claimant_user_id=claimant)
    org.claim("another's", claimant_user_id=uuid4())
    with bilag.database.as_user(claimant) as connection:
        assert connection.execute("select claim_id from bilag.expense_claim_lines").fetchall() == [(mine,)]
        assert connection.execute("update bilag.expense_claim_lines set amount = 9").rowcount == 0
        assert connection.execute("update bilag.expense_claims set claimant_name = 'x'").rowcount == 0


def test_a_member_does_not_read_the_token_of_a_lease(bilag: Bilag, org: Organisation) -> None:
    for person, role in ((org.member(), "authenticated"), (uuid4(), "bilag_observer")):
        with bilag.database.as_user(person, role) as connection:
            connection.execute("select due_at, lease_until from bilag.export_lanes")
        with bilag.database.as_user(person, role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select lease_token from bilag.export_lanes")


def test_finance_does_not_move_a_row_to_another_organisation(bilag: Bilag, org: Organisation) -> None:
    other, person = bilag.organisation("Other"), org.member()
    with bilag.database.as_user(person) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("update bilag.account_mappings set org_id = %s", [other.id])
    with bilag.database.as_user(person) as connection:
        changed = connection.execute("update bilag.account_mappings set account_code = '1' returning org_id").fetchall()
    assert {row for (row,) in changed} == {org.id}
    accounts = bilag.database.sql(
        "select distinct account_code from bilag.account_mappings where org_id = %s", other.id
    )
    assert ("1",) not in accounts


def test_a_plain_insert_by_a_person_queues_a_run_and_returns_it(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    with bilag.database.as_user(org.member()) as connection:
        row = connection.execute(
            "insert into bilag.export_runs (org_id, integration_type) values (%s, 'xledger') returning id, status",
            [org.id],
        ).fetchone()
    assert row is not None
    assert row[1] == "queued"
    worker.work()
    assert org.states() == {"C-1": "exported"}


def test_the_vocabulary_is_for_everybody_who_is_somebody(bilag: Bilag) -> None:
    for table in ("integration_types", "reasons", "alert_kinds"):
        for role in ("authenticated", "service_role", "bilag_observer"):
            with bilag.database.as_user(uuid4(), role) as connection:
                assert connection.execute(f"select count(*) > 0 from bilag.{table}".encode()).fetchone() == (True,)
