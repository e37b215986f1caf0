"""The databases that are measured in, and the jobs that are laid out in them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg.types.json import Jsonb

from benchmarks import adapters
from dev.postgres import Server
from worker.adapters import announcements
from worker.migrate import migrate

RAW_QUEUE = "bench_raw"
_numbers = itertools.count(1)

_TENANTS: LiteralString = """
    with made as (
      insert into bilag.organizations (name) select %(prefix)s || g from generate_series(1, %(many)s) g returning id
    ), connected as (
      insert into bilag.integration_config (org_id, integration_type, settings)
      select id, 'noop', '{"settlement_account": "2910"}' from made
    )
    insert into bilag.account_mappings (org_id, integration_type, category, account_code)
    select id, 'noop', 'Taxi', '7140' from made"""
_CLAIMS: LiteralString = """
    with made as (
      insert into bilag.expense_claims (org_id, claim_number, status)
      select id, %(batch)s || '-' || g, 'approved' from bilag.organizations, generate_series(1, %(each)s) g
      where name like %(prefix)s || '%%' returning id, org_id
    )
    insert into bilag.expense_claim_lines (org_id, claim_id, line_no, category, expense_date, amount)
    select org_id, id, 1, 'Taxi', current_date, 100.50 from made"""
_RUNS: LiteralString = """
    insert into bilag.export_runs (org_id, integration_type)
    select id, 'noop' from bilag.organizations where name like %(prefix)s || '%%'"""
# What a failed delivery leaves for tomorrow. Written past the triggers, which would first queue it all for now.
_DELAYED_RUNS: LiteralString = """
    insert into bilag.export_runs (
      org_id, integration_type, integration_id, cutoff_at, status, due_at, enqueued_at, started_at, waiting_since,
      waiting_reason_code, failures)
    select c.org_id, c.integration_type, c.id, now(), 'waiting', now() + interval '1 day' + random() * interval '1 day',
      now(), now(), now(), 'vendor_unavailable', 1
    from bilag.integration_config c join bilag.organizations o on o.id = c.org_id
    where o.name like %(prefix)s || '%%'"""
_DELAYED_LANES: LiteralString = """
    update bilag.export_lanes l set run_id = r.id, due_at = r.due_at
    from bilag.export_runs r where r.integration_id = l.integration_id and r.status = 'waiting'"""


@dataclass(frozen=True)
class Ground:
    """A database of Bilag, or of the peer."""

    server: Server
    name: str

    @property
    def dsn(self) -> str:
        return self.server.dsn(self.name)

    def sql(self, query: LiteralString, **values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(query, values or None)
            return cursor.fetchall() if cursor.description is not None else []

    def value(self, query: LiteralString, **values: Any) -> Any:
        return self.sql(query, **values)[0][0]

    def tenants(self, many: int, prefix: str = "bench ") -> None:
        """Organisations with one integration each; all statements below go by the same prefix."""
        self.sql(_TENANTS, many=many, prefix=prefix)

    def claims(self, each: int = 1, prefix: str = "bench ") -> None:
        """So many approved claims of one line for each organisation."""
        self.sql(_CLAIMS, batch=f"B{next(_numbers)}", each=each, prefix=prefix)

    def runs(self, prefix: str = "bench ") -> None:
        """One run for each integration, by plain INSERT."""
        self.sql(_RUNS, prefix=prefix)

    def delayed(self, many: int) -> None:
        """So many runs, each of another integration, that wait for tomorrow."""
        self.tenants(many, "delayed ")
        with psycopg.connect(self.dsn) as connection:
            connection.execute("set local session_replication_role = replica")
            connection.execute(_DELAYED_RUNS, {"prefix": "delayed "})
            connection.execute(_DELAYED_LANES)

    def settle_down(self) -> None:
        """Statistics as autovacuum would leave them, and a tick, so that no worker takes that over."""
        self.sql("vacuum (analyze)")
        if self.value("select to_regproc('bilag_internal.tick') is not null"):
            self.sql("select bilag_internal.tick()")

    def commits(self) -> int:
        """Transactions committed in this database by sessions that have ended."""
        found = self.value("select xact_commit from pg_stat_database where datname = current_database()")
        return int(found)


def new_name(kind: str) -> str:
    """A database's name that nothing else has."""
    return f"bench_{kind}_{next(_numbers)}"


def bilag(server: Server) -> Ground:
    """A migrated database in which the accounting system `noop` is known, with a raw queue beside it."""
    ground = Ground(server, new_name("bilag"))
    server.create_database(ground.name)
    migrate(ground.dsn)
    with adapters.in_place():
        for announcement in announcements():
            ground.sql("select bilag_internal.announce_type(%(it)s)", it=Jsonb(announcement))
    ground.sql(f"select pgmq.create('{RAW_QUEUE}')")
    return ground


def send_raw(ground: Ground, messages: int) -> None:
    ground.sql(
        f"select pgmq.send_batch('{RAW_QUEUE}', array(select jsonb_build_object('integration_id', gen_random_uuid())"
        " from generate_series(1, %(messages)s)))",
        messages=messages,
    )
