"""Secrets go into Vault and come out through one function, for a live lease, to the worker alone."""

from __future__ import annotations

import itertools
from typing import Any, LiteralString
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.fix_bilag import Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker, failed, report
from tests.sql.refusals import refused
from tests.sql.sessions import two_sessions

SET: LiteralString = "select bilag.set_integration_credential(%s, 'xledger', %s, %s)"
SECRET = "hush-7f3a91"


def read(worker: FakeWorker, job: dict[str, Any]) -> dict[str, Any]:
    (answer,) = worker.call("select bilag_internal.read_credential(%s, %s)", job["lane"], job["token"])
    assert isinstance(answer, dict)
    return answer


def test_the_holder_of_the_lease_reads_the_secret(org: Organisation, worker: FakeWorker) -> None:
    org.database.sql(SET, org.id, SECRET, "2026-12-31 00:00+00")
    org.claim("C-1")
    org.request()
    assert read(worker, worker.claim_one()) == {
        "secret": SECRET, "version": 1, "expiresAt": "2026-12-31T00:00:00+00:00",
    }  # fmt: skip


def test_a_missing_secret_is_null_and_no_error(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    assert read(worker, worker.claim_one()) == {"secret": None, "version": 0, "expiresAt": None}


def test_a_secret_bears_the_integrations_name(org: Organisation) -> None:
    org.database.sql(SET, org.id, SECRET, None)
    names = org.database.sql(
        "select s.name = 'integration_' || c.id || '_api_key'"
        " from vault.decrypted_secrets s, bilag.integration_config c"
    )
    assert names == [(True,)]


def test_a_new_secret_replaces_the_old_one_and_counts_as_a_version(org: Organisation, worker: FakeWorker) -> None:
    for secret in ("first", "second", SECRET):
        org.database.sql(SET, org.id, secret, None)
    org.claim("C-1")
    org.request()
    answer = read(worker, worker.claim_one())
    assert (answer["secret"], answer["version"]) == (SECRET, 3)
    assert org.database.value("select count(*) from vault.secrets") == 1


def test_without_a_live_lease_nobody_reads(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.database.sql(SET, org.id, SECRET, None)
    org.claim("C-1")
    org.request()
    job = worker.claim_one()
    with refused("KB020"):
        read(worker, {**job, "token": str(uuid4())})
    with refused("KB020"):
        read(worker, {**job, "lane": str(uuid4())})
    bilag.advance(seconds=60)
    with refused("KB020"):
        read(worker, job)


def test_a_lease_of_one_integration_does_not_open_anothers_secret(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    other = bilag.organisation("Other")
    bilag.database.sql(SET, other.id, SECRET, None)
    org.claim("C-1")
    org.request()
    lane = bilag.database.value("select id from bilag.integration_config where org_id = %s", other.id)
    with refused("KB020"):
        read(worker, {**worker.claim_one(), "lane": str(lane)})


def test_the_secret_is_nowhere_in_our_tables(bilag: Bilag, org: Organisation) -> None:
    bilag.database.sql(SET, org.id, SECRET, None)
    tables = bilag.database.sql(
        "select c.oid::regclass::text from pg_class c"
        " where c.relkind = 'r' and c.relnamespace::regnamespace::text in ('bilag', 'bilag_internal', 'pgmq')"
    )
    assert len(tables) > 20
    for (table,) in tables:
        query = f"select count(*) from {table} t where to_jsonb(t)::text like '%hush%'"
        assert org.connection.execute(query.encode()).fetchone() == (0,), table
    stored = bilag.database.value("select to_jsonb(s)::text from vault.secrets s")
    assert SECRET not in stored, "it lies encrypted"


def test_nobody_but_the_worker_reads_and_nobody_at_all_reads_vault(bilag: Bilag, org: Organisation) -> None:
    queries = (
        "select bilag_internal.read_credential(gen_random_uuid(), gen_random_uuid())",
        "select * from vault.decrypted_secrets",
        "select * from vault.secrets",
    )
    for role, query in itertools.product(("anon", "authenticated", "service_role", "bilag_observer"), queries):
        with (
            bilag.database.as_user(org.member(), role) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(query.encode())


def test_the_worker_itself_has_no_way_into_vault(worker: FakeWorker) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        worker.call("select decrypted_secret from vault.decrypted_secrets")


def test_only_finance_sets_a_secret_and_an_empty_one_is_none(bilag: Bilag, org: Organisation) -> None:
    for person in (org.member("member"), bilag.organisation("Other").member()):
        with bilag.database.as_user(person) as connection, refused("KB003"):
            connection.execute(SET, [org.id, SECRET, None])
    for empty in ("", " \n\t", None):
        with refused("KB001", "The secret is empty"):
            bilag.database.sql(SET, org.id, empty, None)
    with bilag.database.as_user(org.member()) as connection:
        connection.execute(SET, [org.id, SECRET, None])


def test_the_audit_knows_that_it_changed_and_not_to_what(org: Organisation) -> None:
    org.database.sql(SET, org.id, SECRET, None)
    rows = org.database.sql("select action, details, to_jsonb(a)::text from bilag.bufdir_export_audit_log a")
    ((action, details, whole),) = rows
    assert (action, details) == ("credential.changed", {"version": 1, "expiresAt": None})
    assert SECRET not in whole


def test_a_secret_resumes_what_waits_for_one_and_not_what_a_person_paused(org: Organisation) -> None:
    org.database.sql("select bilag.pause_integration(%s, 'xledger', 'stocktaking')", org.id)
    org.database.sql(SET, org.id, SECRET, None)
    assert org.database.value("select paused_reason_code from bilag.integration_config") == "paused_by_person"


def test_a_secret_that_is_set_while_the_old_ones_refusal_is_settled_resumes_all_the_same(
    database: Database, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    told = report(worker.claim_one(), "unsent", failure=failed("permanent", "credential_refused"))
    with two_sessions(database) as (settling, setting):
        settling.run("select bilag_internal.settle_exports(%s, %s)", worker.id, Jsonb([told]))
        set_ = setting.start(SET, org.id, SECRET, None)
        assert setting.is_blocked(set_)
        settling.commit()
        set_.result(20)
        setting.commit()
    assert database.sql("select paused_at, credential_version from bilag.integration_config") == [(None, 1)]
    assert database.sql("select kind from bilag.open_alerts") == []
