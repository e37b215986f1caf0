"""Among 300,000 rows a person's query reads their own: by the plan and by the pages it touches, not by the clock."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from dev.postgres import Server
from tests.fix_postgres import Connection, Database, as_user, copied

ROWS, TENANTS = 300_000, 3000
ORG = f"md5('org' || (n % {TENANTS}))::uuid"
CLAIM = "md5('claim' || n)::uuid"
MINE, PERSON = "md5('org7')::uuid", UUID(int=7)
FILLED = {
    "expense_claims": "(id, org_id, claim_number, claimant_user_id, status, approved_at)"
    f" select {CLAIM}, {ORG}, 'C-' || n, case when n < 30000 then '{PERSON}'::uuid end, 'approved', now()",
    "expense_claim_lines": f"(org_id, claim_id, line_no, category, amount) select {ORG}, {CLAIM}, 1, 'Taxi', 1",
}
"""Tables of 300,000 rows."""

FEWER = {
    "export_items": "(org_id, run_id, integration_id, integration_type, claim_id, position, holds, books, reference,"
    f" created_at) select {ORG}, {ORG}, {ORG}, 'x', {CLAIM}, n, true, true, 'BL' || lpad(n::text, 18, '0'), now()",
    "integration_run_logs": "(org_id, correlation_id, adapter_name, attempt_number)"
    f" select {ORG}, {CLAIM}, 'xledger', 1",
}
"""Of 60,000."""

SMALL = {
    "organizations": f"(id, name) select {ORG}, 'O' || n",
    "integration_config": f"(id, org_id, integration_type) select {ORG}, {ORG}, 'xledger'",
}
PAGES = 1000


@pytest.fixture(scope="module")
def crowd(server: Server, template: str) -> Iterator[Database]:
    """Three thousand tenants of a hundred rows each, without triggers and foreign keys."""
    with copied(server, template) as database:
        connection = database.connect()
        connection.execute("set session_replication_role = replica")
        connection.execute("set synchronous_commit = off")
        for many, tables in ((ROWS, FILLED), (ROWS // 5, FEWER), (TENANTS, SMALL)):
            for table, values in tables.items():
                connection.execute(f"insert into bilag.{table} {values} from generate_series(1, {many}) as n".encode())
        connection.execute(
            f"insert into bilag.organization_members values ({MINE}, %s, 'finance_admin')".encode(),
            [PERSON],
        )
        connection.execute("analyze")
        yield database


def explained(connection: Connection, query: str) -> dict[str, Any]:
    """The plan of a query that was run, with what it read."""
    row = connection.execute(f"explain (analyze, buffers, timing off, format json) {query}".encode()).fetchone()
    assert row is not None
    plan = row[0] if not isinstance(row[0], str) else json.loads(row[0])
    return dict(plan[0]["Plan"])


def nodes(plan: dict[str, Any], *, repeated: bool = False) -> Iterator[dict[str, Any]]:
    """The plan and what is in it; ``repeated``: without what is computed once, however often the rest runs."""
    yield plan
    for child in plan.get("Plans", ()):
        if not (repeated and child.get("Parent Relationship") == "InitPlan"):
            yield from nodes(child, repeated=repeated)


def pages(plan: dict[str, Any]) -> int:
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


@pytest.mark.parametrize("role", ["finance_admin", "member"])
@pytest.mark.parametrize(
    "table", ["expense_claims", "expense_claim_lines", "export_items", "integration_run_logs", "claim_exports"]
)
def test_a_tenants_query_reads_the_tenants_rows(crowd: Database, table: str, role: str) -> None:
    """The member is the claimant of ten claims of theirs, and of thousands in organisations that they left."""
    crowd.sql("update bilag.organization_members set role = %s", role)
    with as_user(crowd.connect(), PERSON) as connection:
        plan = explained(connection, f"select * from bilag.{table}")
    finance = {"expense_claims": 100, "expense_claim_lines": 100, "export_items": 20, "integration_run_logs": 20}
    own = {"expense_claims": 10, "expense_claim_lines": 10, "claim_exports": 10}
    expected = (finance | {"claim_exports": 100}) if role == "finance_admin" else own
    assert plan["Actual Rows"] == expected.get(table, 0)
    scanned = [n["Relation Name"] for n in nodes(plan) if n["Node Type"] == "Seq Scan"]
    assert not set(scanned) & (FILLED | FEWER).keys(), scanned
    assert pages(plan) < PAGES, pages(plan)
    for subplan in (n for n in nodes(plan) if n.get("Parent Relationship") == "SubPlan"):
        asking = [
            n
            for n in nodes(subplan, repeated=True)
            if "Function Name" in n or n["Node Type"] in ("ProjectSet", "Result")
        ]
        assert not asking, "who is calling is asked once, not for every row"


def test_a_claimant_with_claims_in_many_organisations_reads_those_of_theirs(crowd: Database) -> None:
    crowd.sql("update bilag.organization_members set role = 'member'")
    with as_user(crowd.connect(), PERSON) as connection:
        plan = explained(connection, "select * from bilag.expense_claims")
    assert plan["Actual Rows"] == 10
    assert pages(plan) < PAGES


def test_a_stranger_reads_next_to_nothing(crowd: Database) -> None:
    with as_user(crowd.connect(), UUID(int=99)) as connection:
        for table in FILLED | FEWER:
            plan = explained(connection, f"select * from bilag.{table}")
            assert (plan["Actual Rows"], pages(plan) < PAGES) == (0, True), table


def test_without_the_set_a_query_would_read_everything(crowd: Database) -> None:
    """That these numbers can be missed: the owner's same query, and a policy that asks for every row."""
    connection = crowd.connect()
    assert pages(explained(connection, "select * from bilag.expense_claim_lines")) > PAGES
    with connection.transaction(force_rollback=True):
        connection.execute(
            "alter policy finance_sees_its_own on bilag.expense_claim_lines"
            " using (org_id in (select o from bilag_internal.my_org_ids() o where o = expense_claim_lines.org_id))"
        )
        connection.execute("set local role authenticated")
        connection.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps({"sub": str(PERSON)})])
        plan = explained(connection, "select * from bilag.expense_claim_lines limit 1")
        assert any(n["Node Type"] == "Seq Scan" for n in nodes(plan))
