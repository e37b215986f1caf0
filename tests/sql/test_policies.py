"""No tenant sees another's row: every table, every role."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.fix_bilag import Bilag, Line, Organisation
from tests.sql.fake_worker import FakeWorker

FINANCE_ONLY = {
    "export_items", "export_lines", "export_files", "integration_run_logs", "alerts", "bufdir_export_audit_log",
    "claim_exclusions", "expense_claim_lines", "account_mappings", "expense_claims",
}  # fmt: skip
MEMBERS = {
    "organization_members", "integration_config", "export_schedules", "export_runs", "export_lanes",
    "integration_health_status", "health_check_history",
}  # fmt: skip
TENANT_TABLES = FINANCE_ONLY | MEMBERS


@pytest.fixture
def full(bilag: Bilag) -> Callable[[str], Organisation]:
    """Makes an organisation with a row in every table that carries org_id."""
    worker = bilag.worker()

    def make(name: str) -> Organisation:
        org = bilag.organisation(name)
        org.member()
        org.claim("C-1", claimant_user_id=org.member("member"))
        org.claim("C-2", Line("Sauna", "1"))
        run = org.request()
        worker.work()
        excluded = org.claim("C-3")
        database = bilag.database
        database.sql("select bilag.exclude_claim(%s, 'xledger', 'private')", excluded)
        database.sql(
            "insert into bilag.export_files (run_id, org_id, name, media_type, content, sha256)"
            " values (%s, %s, 'f', 'text/csv', 'a', sha256('a'))",
            run,
            org.id,
        )
        database.sql("select bilag_internal.raise_alert('run_failed', %s, %s, 'xledger', 'words')", name, org.id)
        health = "org_id, integration_type, status, checked_at) values (%s, 'xledger', 'healthy', now())"
        for statement in (
            "integration_run_logs (org_id, correlation_id, adapter_name, attempt_number) values (%s, %s, 'xledger', 1)",
            "export_schedules (org_id, integration_type, frequency) values (%s, 'xledger', 'daily')",
            f"integration_health_status ({health}",
            f"health_check_history ({health}",
        ):
            org.connection.execute(
                f"insert into bilag.{statement}".encode(), [org.id, uuid4()][: statement.count("%s")]
            )
        return org

    return make


def seen(bilag: Bilag, user: UUID, table: str) -> set[UUID]:
    with bilag.database.as_user(user) as connection:
        return {org for (org,) in connection.execute(f"select distinct org_id from bilag.{table}".encode()).fetchall()}


def test_every_table_of_a_tenant_is_in_this_test(bilag: Bilag) -> None:
    rows = bilag.database.sql(
        "select a.attrelid::regclass::text from pg_attribute a join pg_class c on c.oid = a.attrelid"
        " where a.attname = 'org_id' and c.relkind = 'r' and c.relnamespace = 'bilag'::regnamespace"
    )
    assert {name.removeprefix("bilag.") for (name,) in rows} == TENANT_TABLES


def test_finance_sees_its_own_members_see_how_things_stand_and_strangers_nothing(
    bilag: Bilag, full: Callable[[str], Organisation]
) -> None:
    ours, theirs = full("Ours"), full("Theirs")
    finance, member, nobody = ours.member(), ours.member("member"), uuid4()
    for table in sorted(TENANT_TABLES):
        both = {org for (org,) in ours.connection.execute(f"select org_id from bilag.{table}".encode()).fetchall()}
        assert both == {ours.id, theirs.id}, f"{table} has rows of both"
        assert seen(bilag, finance, table) == {ours.id}, table
        assert seen(bilag, member, table) == ({ours.id} if table in MEMBERS else set()), table
        assert seen(bilag, nobody, table) == set(), table


def test_a_member_of_two_organisations_sees_both(bilag: Bilag, full: Callable[[str], Organisation]) -> None:
    ours, theirs = full("Ours"), full("Theirs")
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
