"""On Supabase's terms: who migrates is no superuser, Vault is another's, and people come through ``authenticator``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from dev.postgres import Server
from tests.fix_bilag import NOON, Bilag, Organisation
from tests.fix_postgres import Connection, Database
from tests.sql.actors import staged
from tests.sql.attempts import functions, relations
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused
from tests.sql.test_matrix import compare
from worker.migrate import migrate


@pytest.fixture
def migrated(project: str) -> str:
    migrate(project)
    return project


def as_owner(platform: Server, dsn: str) -> Iterator[Bilag]:
    """The project, as ``app_owner``: Supabase's ``postgres``."""
    database = Database(platform, dsn)
    database.set_clock(NOON)
    yield Bilag(database)
    database.close()


@pytest.fixture
def bilag_there(platform: Server, migrated: str) -> Iterator[Bilag]:
    yield from as_owner(platform, migrated)


@contextmanager
def through_postgrest(
    platform: Server, bilag: Bilag, person: UUID, role: str = "authenticated"
) -> Iterator[Connection]:
    """One request, as PostgREST makes it: logged in as authenticator, in the role of the JWT."""
    name = str(conninfo_to_dict(bilag.database.dsn)["dbname"])
    claims = json.dumps({"sub": str(person), "role": role})
    with psycopg.connect(platform.dsn(name, "authenticator"), autocommit=True) as connection, connection.transaction():
        connection.execute(f"set local role {role}".encode())
        connection.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        yield connection


def test_from_migrate_to_the_ledger_without_a_superuser(platform: Server, bilag_there: Bilag) -> None:
    org = bilag_there.organisation()
    treasurer = org.member()
    org.claim("C-1", claimant_user_id=treasurer)
    with through_postgrest(platform, bilag_there, treasurer) as request:
        request.execute("select bilag.set_integration_credential(%s, 'xledger', 'hush')", [org.id])
        preview = request.execute("select bilag.preview_export(%s, 'xledger') ->> 'wouldBook'", [org.id]).fetchone()
        run = request.execute("select bilag.request_export(%s, 'xledger')", [org.id]).fetchone()
    assert preview == ("1",)
    assert run is not None
    worker = FakeWorker(bilag_there.database)
    assert worker.hello()["vault"] is True
    job = worker.claim_one()
    (secret,) = worker.call("select bilag_internal.read_credential(%s, %s)", job["lane"], job["token"])
    assert secret["secret"] == "hush"
    worker.settle(job)
    with through_postgrest(platform, bilag_there, treasurer) as request:
        status = request.execute("select bilag.export_status(%s) ->> 'status'", run).fetchone()
        state = request.execute("select claim_number, state from bilag.claim_exports").fetchall()
        with pytest.raises(psycopg.errors.InsufficientPrivilege), request.transaction():
            request.execute("select * from vault.decrypted_secrets")
    assert status == ("succeeded",)
    assert state == [("C-1", "booked")]
    assert bilag_there.database.value("select bilag.verify_audit(%s)", org.id) is None


def test_anon_a_stranger_and_the_service_come_as_what_they_are(platform: Server, bilag_there: Bilag) -> None:
    org: Organisation = bilag_there.organisation()
    call = "select bilag.request_export(%s, 'xledger')"
    denied = pytest.raises(psycopg.errors.InsufficientPrivilege)
    with denied, through_postgrest(platform, bilag_there, uuid4(), "anon") as request:
        request.execute(call, [org.id])
    with through_postgrest(platform, bilag_there, uuid4()) as request:
        with refused("KB003"), request.transaction():
            request.execute(call, [org.id])
        assert request.execute("select count(*) from bilag.organizations").fetchone() == (0,)
    with through_postgrest(platform, bilag_there, uuid4(), "service_role") as request:
        request.execute(call, [org.id])
        assert request.execute("select count(*) from bilag.organizations").fetchone() == (1,)


def test_the_matrix_holds_there_too(platform: Server, migrated: str) -> None:
    name = str(conninfo_to_dict(migrated)["dbname"])
    for bilag in as_owner(platform, platform.dsn(name)):  # a superuser only looks; the tables are app_owner's
        owner = bilag.database.value(
            "select relowner::regrole::text from pg_class where oid = 'bilag.alerts'::regclass"
        )
        assert owner == "app_owner"
        scene = staged(bilag)
        compare("relations.txt", relations(scene))
        compare("functions.txt", functions(scene))
