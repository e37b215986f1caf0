"""Two organisations with something of everything, and everybody who might look: for tests of who sees and does what."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import sql

from tests.fix_bilag import Bilag, Line, Organisation
from tests.fix_postgres import Connection
from tests.sql.fake_worker import FakeWorker

ACTORS = {
    "anon": "anon", "stranger": "authenticated", "member": "authenticated", "claimant": "authenticated",
    "finance": "authenticated", "service": "service_role", "worker": "bilag_worker", "observer": "bilag_observer",
}  # fmt: skip
"""Who tries, and in which role: a stranger belongs nowhere, the others to the first of two organisations."""

FITTING = {
    "finding": "absent",
    "status": "healthy", "kind": "run_failed", "integration_type": "xledger", "state": "open", "trigger": "request",
    "frequency": "daily", "error_class": "transient", "currency": "NOK", "role": "member",
    "sha256": "\\xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
}  # fmt: skip
"""What is put into a column that a CHECK watches, where a table is empty and the story below fills it with nothing."""

BY_TYPE = {
    "text": "x", "uuid": str(UUID(int=7)), "integer": "1", "bigint": "1", "numeric": "1", "boolean": "false",
    "jsonb": "{}", "date": "2026-03-02", "timestamp with time zone": "2026-03-02 11:00+00", "bytea": "\\x",
    "interval": "1 s",
}  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """``ids`` are what each organisation has, under the names that parameters have."""

    bilag: Bilag
    ours: Organisation
    theirs: Organisation
    people: Mapping[str, UUID]
    ids: Mapping[UUID, Mapping[str, str]]

    @contextmanager
    def acting(self, actor: str) -> Iterator[Connection]:
        """A transaction as that actor, undone at its end."""
        connection = self.bilag.connection
        claims = {"role": ACTORS[actor]} | ({"sub": str(self.people[actor])} if actor in self.people else {})
        with connection.transaction(force_rollback=True):
            connection.execute(sql.SQL("set local role {}").format(sql.Identifier(ACTORS[actor])))
            connection.execute("select set_config('request.jwt.claims', %s, true)", [json.dumps(claims)])
            yield connection

    def attempt(self, actor: str, statement: str, values: Sequence[Any] = ()) -> tuple[str, list[tuple[Any, ...]], int]:
        """The SQLSTATE (empty when it went well), the rows, and how many rows were touched."""
        with self.acting(actor) as connection:
            try:
                cursor = connection.execute(statement.encode(), values)
                rows = cursor.fetchall() if cursor.description is not None else []
            except psycopg.Error as error:
                return error.sqlstate or "?", [], 0
        return "", rows, cursor.rowcount


def staged(bilag: Bilag) -> Scene:
    """Both organisations live through the same story."""
    worker = bilag.worker()
    people = {actor: uuid4() for actor in ("stranger", "member", "claimant", "finance")}
    ours = _lived(bilag, worker, "Ours", people["claimant"])
    theirs = _lived(bilag, worker, "Theirs", uuid4())
    for actor in ("member", "claimant", "finance"):
        values = {"user_id": people[actor], "role": "finance_admin" if actor == "finance" else "member"}
        ours.insert("organization_members", values, returning="user_id")
    theirs.member()
    bilag.database.sql("select pgmq.send('bilag_exports', '{\"x\": 1}')")
    worker.claim()
    worker.hello()
    bilag.database.sql("select bilag.set_webhook('https://hooks.example.com/', 'a secret of 24 characters or more')")
    bilag.database.sql("select bilag.test_webhook()")
    worker.call("select bilag_internal.take_webhooks(%s, 1, 60)", worker.id)
    for org in (ours, theirs):
        bilag.database.sql("select bilag.request_health_check(%s)", org.id)
        _fill(bilag, org)
    return Scene(bilag, ours, theirs, people, {org.id: _ids(bilag, org) for org in (ours, theirs)})


def _lived(bilag: Bilag, worker: FakeWorker, name: str, claimant: UUID) -> Organisation:
    org = bilag.organisation(name)
    database = bilag.database
    org.claim("C-1", claimant_user_id=claimant, claimant_name="Kari")
    org.claim("C-2", Line("Sauna", "1"))
    org.request()
    worker.work()
    excluded = org.claim("C-3")
    database.sql("select bilag.exclude_claim(%s, 'xledger', 'private')", excluded)
    org.insert("export_schedules", {"integration_type": "xledger", "frequency": "daily"})
    bilag.advance(days=1)
    worker.tick()
    org.claim("C-4")
    org.request()
    for job in worker.claim():
        worker.settle(job, "unknown")
    database.sql("select bilag.pause_integration(%s, 'xledger', 'stocktaking')", org.id)
    database.sql("select bilag_internal.raise_alert('run_failed', %s, %s, 'xledger', 'words')", name, org.id)
    bilag.database.advance(timedelta(seconds=1))
    return org


def _fill(bilag: Bilag, org: Organisation) -> None:
    """A row in each table of tenants that the story left empty, whatever it means."""
    ids = _ids(bilag, org)
    tables = bilag.database.sql(
        "select c.oid::regclass::text from pg_class c join pg_attribute a on a.attrelid = c.oid"
        " where a.attname = 'org_id' and c.relkind = 'r' and c.relnamespace = 'bilag'::regnamespace"
    )
    connection = bilag.connection
    for (table,) in tables:
        if connection.execute(f"select from {table} where org_id = %s".encode(), [org.id]).rowcount:
            continue
        columns = connection.execute(
            "select attname, format_type(atttypid, null) from pg_attribute where attrelid = %s::regclass and attnum > 0"
            " and not attisdropped and attnotnull and not atthasdef and attidentity = '' and attname <> 'org_id'",
            [table],
        ).fetchall()
        values = [
            ids.get(name) or FITTING.get(name) or (str(uuid4()) if kind == "uuid" else BY_TYPE[kind])
            for name, kind in columns
        ]
        names = ", ".join(["org_id", *(name for name, _ in columns)])
        marks = ", ".join(["%s", *(f"%s::{kind}" for _, kind in columns)])
        with connection.transaction():
            connection.execute("set local session_replication_role = replica")  # no trigger, no foreign key
            connection.execute(f"insert into {table} ({names}) values ({marks})".encode(), [org.id, *values])


def _ids(bilag: Bilag, org: Organisation) -> dict[str, str]:
    claim = "select id from bilag.expense_claims where org_id = %s and claim_number = 'C-4'"
    queries = {
        "org_id": "select id from bilag.organizations where id = %s",
        "claim_id": claim,
        "run_id": "select id from bilag.export_runs where org_id = %s order by enqueued_at desc, id limit 1",
        "alert_id": "select id from bilag.alerts where org_id = %s order by id limit 1",
        "item_id": "select id from bilag.export_items where org_id = %s order by id limit 1",
        "integration_id": "select id from bilag.integration_config where org_id = %s",
        "reconciliation_id": "select id from bilag.reconciliations where org_id = %s limit 1",
        "schedule_id": "select id from bilag.export_schedules where org_id = %s",
        "check_id": "select id from bilag_internal.health_requests where org_id = %s",
    }
    rows = {name: bilag.connection.execute(query.encode(), [org.id]).fetchone() for name, query in queries.items()}
    return {name: str(row[0]) for name, row in rows.items() if row is not None}
