"""Requirement D2: an export finds its claims by the index, among a million."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString

import pytest

from dev.postgres import Server
from tests.fix_postgres import Connection, Database, copied

CLAIMS, ORGANISATIONS = 1_000_000, 20
UNBOOKED = 2_000
"""Of each organisation: the rest is history."""
FIND: LiteralString = (
    "prepare find (uuid[], timestamptz[], timestamptz[], uuid[], integer) as"
    " select * from bilag_internal.candidates($1, $2, $3, $4, $5)"
)
EXPLAIN: LiteralString = (
    "explain (analyze, buffers, timing off, format json) execute find ("
    " '{ids}', array_fill('infinity'::timestamptz, array[{n}]),"
    " array_fill('-infinity'::timestamptz, array[{n}]),"
    " array_fill('00000000-0000-0000-0000-000000000000'::uuid, array[{n}]), {piece})"
)
INDEXES: LiteralString = "select indexname, indexdef from pg_indexes where indexname ~ '^(approved_claims|claims_by_)'"


@pytest.fixture(scope="module")
def crowded(server: Server, template: str) -> Iterator[Database]:
    """A million claims of twenty organisations. Their triggers are off while they are loaded."""
    with copied(server, template) as database:
        connection = database.connect()
        connection.execute("set synchronous_commit = off")
        connection.execute("insert into bilag.organizations (name) select n::text from generate_series(1, 20) n")
        connection.execute(
            "insert into bilag.integration_config (org_id, integration_type, settings, export_from)"
            """ select id, 'xledger', '{"settlement_account": "2910"}', '2020-01-01' from bilag.organizations"""
        )
        connection.execute("set session_replication_role = replica")
        indexes = connection.execute(INDEXES).fetchall()
        for name, _ in indexes:
            connection.execute(f"drop index bilag.{name}".encode())
        connection.execute(
            "insert into bilag.expense_claims (id, org_id, claim_number, status, approved_at, booked)"
            " select lpad(to_hex(row_number() over ()), 32, '0')::uuid, o.id, lpad(n::text, 8, '0'), 'approved',"
            " '2026-01-01'::timestamptz + n * interval '1 minute', n <= %s"
            " from (select id from bilag.organizations order by id) o, generate_series(1, %s) n",
            (CLAIMS // ORGANISATIONS - UNBOOKED, CLAIMS // ORGANISATIONS),
        )
        for _, definition in indexes:  # as they were, made again at once instead of row by row
            connection.execute(definition.encode())
        connection.execute("analyze bilag.expense_claims")
        assert connection.execute("select count(*) from bilag.expense_claims").fetchone() == (CLAIMS,)
        yield database


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def explained(connection: Connection, mode: str, integrations: int, piece: int) -> list[dict[str, Any]]:
    """The nodes of the plan, the topmost first: as a verb's session keeps it, which is the generic one, or another."""
    connection.execute(f"set plan_cache_mode = {mode}".encode())
    connection.execute(FIND)
    ids = connection.execute(
        "select array_agg(id)::text from (select * from bilag.integration_config limit %s) c", (integrations,)
    )
    query = (
        EXPLAIN.replace("{ids}", str(*ids.fetchone() or ()))
        .replace("{n}", str(integrations))
        .replace("{piece}", str(piece))
    )
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return list(nodes(row[0][0]["Plan"]))


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
@pytest.mark.parametrize(("integrations", "piece"), [(1, 3000), (10, 300)])
def test_the_approved_claims_of_an_export_are_found_by_their_index_among_a_million(
    crowded: Database, integrations: int, piece: int, mode: str
) -> None:
    plan = explained(crowded.connect(), mode, integrations, piece)
    found = integrations * min(piece, UNBOOKED)
    asked = [node for node in plan if node.get("Relation Name") == "expense_claims" and node["Actual Loops"]]
    assert {node.get("Index Name") for node in asked} == {"approved_claims"}
    assert plan[0]["Actual Rows"] == found
    assert plan[0]["Shared Hit Blocks"] + plan[0]["Shared Read Blocks"] < 12 * found, "history is not read"


def test_without_that_index_the_plan_goes_another_way_and_this_would_be_seen(crowded: Database) -> None:
    connection = crowded.connect(autocommit=False)
    connection.execute("drop index bilag.approved_claims")
    plan = explained(connection, "force_generic_plan", 1, 3000)
    connection.rollback()
    asked = [node for node in plan if node.get("Relation Name") == "expense_claims" and node["Actual Loops"]]
    assert asked
    assert "approved_claims" not in {node.get("Index Name") for node in asked}
