"""Who may do what rests on one hook; service is who has the rights of service_role or of the owner, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.fix_postgres import Connection
from tests.sql.refusals import refused


@pytest.fixture
def login(bilag: Bilag) -> Iterator[str]:
    """A login role of this test alone: roles are the whole server's."""
    name = f"app_{uuid4().hex[:8]}"
    owner = bilag.database.connect()
    owner.execute(f"create role {name} login".encode())
    yield name
    owner.execute(f"drop role {name}".encode())


def connected(bilag: Bilag, login: str, roles: str) -> Connection:
    """A session of that login, which has these roles and has taken none of them."""
    connection = bilag.database.connect()
    connection.execute(f"grant {roles} to {login}".encode())
    connection.execute(f"set session authorization {login}".encode())
    return connection


def test_a_finance_admin_is_one_in_their_own_organisation_only(bilag: Bilag, org: Organisation) -> None:
    other, person = bilag.organisation("Other"), org.member()
    with bilag.database.as_user(person) as connection:
        connection.execute("select bilag.request_export(%s, 'xledger')", [org.id])
    with bilag.database.as_user(person) as connection, refused("KB003", "not a finance_admin of this organisation"):
        connection.execute("select bilag.request_export(%s, 'xledger')", [other.id])


def test_a_member_sees_the_status_and_moves_no_money(bilag: Bilag, org: Organisation) -> None:
    run, person = org.request(), org.member("member")
    with bilag.database.as_user(person) as connection:
        connection.execute("select bilag.export_status(%s)", [run])
    for call in ("request_export(%s, 'xledger')", "preview_export(%s, 'xledger')"):
        with bilag.database.as_user(person) as connection, refused("KB003"):
            connection.execute(f"select bilag.{call}".encode(), [org.id])


def test_somebody_without_a_jwt_is_nobody(bilag: Bilag, org: Organisation) -> None:
    connection = bilag.database.connect()
    with connection.transaction(), refused("KB003"):
        connection.execute("set local role authenticated")
        connection.execute("select bilag.request_export(%s, 'xledger')", [org.id])


def test_service_role_serves_every_organisation(bilag: Bilag, org: Organisation) -> None:
    with bilag.database.as_user(uuid4(), "service_role") as connection:
        connection.execute("select bilag.request_export(%s, 'xledger')", [org.id])


def test_a_login_that_inherits_authenticated_is_a_person_and_not_a_service(
    bilag: Bilag, org: Organisation, login: str
) -> None:
    with connected(bilag, login, "authenticated") as connection, refused("KB003"):
        connection.execute("select bilag.request_export(%s, 'xledger')", [org.id])


def test_a_login_that_inherits_service_role_is_a_service(bilag: Bilag, org: Organisation, login: str) -> None:
    with connected(bilag, login, "service_role") as connection:
        connection.execute("select bilag.request_export(%s, 'xledger')", [org.id])


def test_a_service_that_took_a_persons_role_is_that_person(bilag: Bilag, org: Organisation, login: str) -> None:
    with connected(bilag, login, "service_role, authenticated") as connection, refused("KB003"):
        connection.execute("set role authenticated")
        connection.execute("select bilag.request_export(%s, 'xledger')", [org.id])


def test_pretending_in_a_setting_makes_nobody_a_member(bilag: Bilag, org: Organisation) -> None:
    with bilag.database.as_user(uuid4()) as connection:
        connection.execute("select set_config('request.jwt.claim.role', 'service_role', true)")
        connection.execute("select set_config('bilag.is_service', 'true', true)")
        with refused("KB003"), connection.transaction():
            connection.execute("select bilag.request_export(%s, 'xledger')", [org.id])


def test_an_application_with_its_own_members_replaces_one_function(bilag: Bilag, org: Organisation) -> None:
    person: UUID = uuid4()
    bilag.database.connect().execute(
        "create or replace function bilag_hooks.memberships() returns table (org_id uuid, role text) language sql"
        f" stable as $$ select '{org.id}'::uuid, 'finance_admin' where auth.uid() = '{person}' $$".encode()
    )
    with bilag.database.as_user(person) as connection:
        connection.execute("select bilag.request_export(%s, 'xledger')", [org.id])
        assert connection.execute("select count(*) from bilag.export_runs").fetchone() == (1,)
    with bilag.database.as_user(org.member()) as connection, refused("KB003"):
        connection.execute("select bilag.request_export(%s, 'xledger')", [org.id])


def test_a_role_that_bilag_does_not_know_gives_nothing(bilag: Bilag, org: Organisation) -> None:
    """An application's own table may have people who were invited, or who left."""
    bilag.database.connect().execute(
        "create or replace function bilag_hooks.memberships() returns table (org_id uuid, role text) language sql"
        " stable as $$ select o.id, r from bilag.organizations o, (values ('invited'), (null), ('Admin')) as r (r)"
        " $$"
    )
    with bilag.database.as_user(uuid4()) as connection:
        assert connection.execute("select count(*) from bilag.integration_config").fetchone() == (0,)
        with refused("KB003"), connection.transaction():
            connection.execute("select bilag.request_export(%s, 'xledger')", [org.id])


def test_memberships_are_asked_once_per_statement_and_not_per_row(bilag: Bilag, org: Organisation) -> None:
    org.approve(200)
    person = org.member()
    with bilag.database.as_user(person) as connection:
        rows = connection.execute(
            "explain (analyze, timing off, costs off) select * from bilag.expense_claims"
        ).fetchall()
    plan = "\n".join(row[0] for row in rows)
    assert "InitPlan" in plan
    assert "SubPlan" not in plan
    assert "rows=200" in plan
