"""Forged and malformed JWT claims: who cannot be told apart is nobody, and what cannot be read is refused.

PostgREST checks the signature; what reaches the database is what it was given. A claim never makes a role: only the
role that the session really has counts.
"""

from __future__ import annotations

import json
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from tests.fix_bilag import Bilag, Organisation

SEEING = "select count(*) from bilag.integration_config"


def asked(bilag: Bilag, claims: str, query: str, *, acting: str = "authenticated", **legacy: str) -> object:
    """What the query returns to a caller with these claims, or the SQLSTATE of its refusal."""
    connection = bilag.database.connect()
    with connection.transaction():
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(acting)))
        connection.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        for name, value in legacy.items():
            connection.execute("select set_config('request.jwt.claim.' || %s, %s, true)", [name, value])
        try:
            ((value,),) = connection.execute(query.encode()).fetchall()
        except psycopg.Error as error:
            return error.sqlstate
        return value


NOBODY = {
    "empty": "",
    "an object without sub": "{}",
    "a null sub": '{"sub": null}',
    "an empty list": "[]",
    "a list of claims": '[{"sub": "SOMEBODY", "role": "service_role"}]',
    "a string": '"SOMEBODY"',
    "a number": "7",
    "null": "null",
    "sub under another name": '{"user_id": "SOMEBODY", "Sub": "SOMEBODY"}',
    "somebody else, and a service by their own word": '{"sub": "STRANGER", "role": "service_role"}',
    "an admin by their own word": '{"sub": "STRANGER", "app_metadata": {"role": "finance_admin"}, "is_service": true}',
}
UNREADABLE = {
    "not JSON": "sub=SOMEBODY",
    "cut JSON": '{"sub": "SOMEBODY"',
    "a sub that is no uuid": '{"sub": "auth0|1234"}',
    "an empty sub": '{"sub": ""}',
    "a sub that is a list": '{"sub": ["SOMEBODY"]}',
    "a sub that is an object": '{"sub": {"is": "SOMEBODY"}}',
    "a sub with SQL in it": '{"sub": "SOMEBODY\' or true --"}',
    "a NUL": '{"sub": "SOMEBODY\\u0000"}',
}


def filled(claims: str, person: UUID) -> str:
    return claims.replace("SOMEBODY", str(person)).replace("STRANGER", str(uuid4()))


@pytest.mark.parametrize("claims", NOBODY.values(), ids=NOBODY.keys())
def test_claims_that_name_nobody_here_show_nothing(bilag: Bilag, org: Organisation, claims: str) -> None:
    person = org.member()
    assert asked(bilag, json.dumps({"sub": str(person)}), SEEING) == 1
    assert asked(bilag, filled(claims, person), SEEING) == 0
    call = f"select bilag.request_export('{org.id}', 'xledger')"
    assert asked(bilag, filled(claims, person), call) == "KB003"


@pytest.mark.parametrize("claims", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_claims_that_cannot_be_read_are_refused(bilag: Bilag, org: Organisation, claims: str) -> None:
    person = org.member()
    call = f"select bilag.request_export('{org.id}', 'xledger')"
    for query in (SEEING, call):
        refused = asked(bilag, filled(claims, person), query)
        assert isinstance(refused, str)
        assert refused.startswith("22"), refused
    assert bilag.database.value("select count(*) from bilag.export_runs") == 0


def test_a_word_in_the_claims_is_no_role(bilag: Bilag, org: Organisation) -> None:
    """Not even for a finance_admin: what is service_role's alone stays so."""
    claims = json.dumps({"sub": str(org.member()), "role": "service_role"})
    legacy = {"role": "service_role"}
    assert asked(bilag, claims, "select bilag.pause_everything('x')", **legacy) == "42501"
    other = bilag.organisation("Other")
    assert asked(bilag, claims, f"select bilag.request_export('{other.id}', 'xledger')", **legacy) == "KB003"


def test_a_service_needs_no_readable_claims(bilag: Bilag, org: Organisation) -> None:
    """Its key may have been issued by anybody: whose `sub` is no uuid is audited without one."""
    call = f"select bilag.pause_integration('{org.id}', 'xledger', 'x') is not null"
    for claims in ('{"sub": "the-server"}', "not json", "[]"):
        assert asked(bilag, claims, call, acting="service_role") is True
    assert bilag.database.sql("select distinct user_id from bilag.bufdir_export_audit_log") == [(None,)]


def test_people_of_another_issuer_belong_where_the_applications_own_function_says(
    bilag: Bilag, org: Organisation
) -> None:
    """With ids that are no uuids everything works but claimant_user_id, which is one."""
    bilag.database.connect().execute(
        "create or replace function bilag_hooks.memberships() returns table (org_id uuid, role text) language sql"
        f" stable as $$ select '{org.id}'::uuid, 'finance_admin' where auth.jwt() ->> 'sub' = 'auth0|1234' $$".encode()
    )
    org.claim("C-1")
    claims = '{"sub": "auth0|1234"}'
    assert asked(bilag, claims, "select count(*) from bilag.claim_exports") == 1
    assert asked(bilag, claims, f"select bilag.request_export('{org.id}', 'xledger') is not null") is True
    assert asked(bilag, '{"sub": "auth0|9999"}', "select count(*) from bilag.claim_exports") == 0


def test_who_was_removed_sees_nothing_from_the_next_statement_on(bilag: Bilag, org: Organisation) -> None:
    person, run = org.member(), org.request()
    claim = org.claim("C-1", claimant_user_id=person)
    with bilag.database.as_user(person) as connection:
        assert connection.execute("select count(*) from bilag.expense_claims").fetchone() == (1,)
        bilag.database.sql("delete from bilag.organization_members where user_id = %s", person)
        for table in (
            "expense_claims",
            "expense_claim_lines",
            "export_runs",
            "organizations",
            "claim_exports",
            "overview",
        ):
            assert connection.execute(f"select count(*) from bilag.{table}".encode()).fetchone() == (0,), table
    claims = json.dumps({"sub": str(person)})
    assert asked(bilag, claims, f"select bilag.export_status('{run}')") == "KB002"
    assert asked(bilag, claims, f"select bilag.reopen_claim('{claim}', 'x')") == "KB002"


def test_a_finance_admin_who_became_a_member_moves_no_money(bilag: Bilag, org: Organisation) -> None:
    person = org.member()
    bilag.database.sql("update bilag.organization_members set role = 'member' where user_id = %s", person)
    claims = json.dumps({"sub": str(person)})
    assert asked(bilag, claims, f"select bilag.request_export('{org.id}', 'xledger')") == "KB003"
    assert asked(bilag, claims, "select count(*) from bilag.export_items") == 0
    assert asked(bilag, claims, SEEING) == 1
