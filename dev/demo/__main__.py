"""The play. Exit 0 only if nothing is missing and nothing doubled, by the word of the accounting systems' ledgers."""

from __future__ import annotations

import json
import sys
import time
from typing import LiteralString
from uuid import UUID

import psycopg

from dev.demo.outage import outage
from dev.demo.show import Count, TookTooLong, console, summary, watch
from dev.demo.stage import Stage, stage
from dev.postgres import PostgresMissing
from dev.sample import Organization

CRON_PATIENCE_SECONDS = 130
"""pg_cron ticks once a minute."""


def main() -> int:
    console.print("Starting a throw-away Postgres, the fake accounting systems and a worker …")
    with stage() as scene:
        asking = [one for one in scene.organizations if not one.by_schedule]
        scheduled = [one for one in scene.organizations if one.by_schedule]
        has_cron = scene.server.cron_database is not None
        for organization in scheduled if has_cron else ():
            _schedule(scene.connection, organization)
        console.print("Asked for by RPC, as PostgREST does it for a signed-in treasurer:")
        watch(scene.connection, [(one.name, _request(scene.connection, one)) for one in asking])
        if has_cron:
            console.print("By a schedule; pg_cron ticks on the minute:")
            runs = [(one.name, _await_schedule(scene.connection, one)) for one in scheduled]
        else:
            console.print("By an INSERT into bilag.export_runs, as there is no pg_cron here:")
            runs = [(one.name, _insert(scene.connection, one)) for one in scheduled]
        watch(scene.connection, runs)
        victim = next(one for one in asking if one.integration_type == "xledger")
        outage(scene.connection, scene.systems.stand_in(victim), victim)
        ways = {True: "schedule" if has_cron else "INSERT", False: "RPC"}
        counts = [_count(scene, one, ways[one.by_schedule]) for one in scene.organizations]
        summary(counts, _reasons(scene.connection))
    if not counts or not all(count.right for count in counts):
        console.print("[bold red]The ledger does not hold what was approved.[/]")
        return 1
    console.print(
        "\nNothing missing, nothing doubled, and nothing left running. To look further, `make up`, and then:\n"
    )
    for query in (
        "table bilag.overview",
        "select claim_number, state, reason, what_to_do from bilag.claim_exports where state <> 'booked'",
        "select explain_claim from bilag.explain_claim((select id from bilag.organizations limit 1), '2026-0001')",
    ):
        console.print(f'    psql "$DATABASE_URL" -c "{query}"', highlight=False, soft_wrap=True)
    return 0


def _request(connection: psycopg.Connection, organization: Organization) -> UUID:
    claims = json.dumps({"sub": str(organization.treasurer), "role": "authenticated"})
    with connection.transaction():
        connection.execute("set local role authenticated")
        connection.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
        return _one(connection, "select bilag.request_export(%s, %s)", organization.id, organization.integration_type)


def _insert(connection: psycopg.Connection, organization: Organization) -> UUID:
    return _one(
        connection,
        "insert into bilag.export_runs (org_id, integration_type) values (%s, %s) returning id",
        organization.id,
        organization.integration_type,
    )


def _schedule(connection: psycopg.Connection, organization: Organization) -> None:
    """Daily at the next full minute, in the organisation's own zone."""
    connection.execute(
        "insert into bilag.export_schedules (org_id, integration_type, frequency, run_at)"
        " select id, %s, 'daily', date_trunc('minute', (now() + interval '62 seconds') at time zone time_zone)::time"
        " from bilag.organizations where id = %s",
        (organization.integration_type, organization.id),
    )


def _await_schedule(connection: psycopg.Connection, organization: Organization) -> UUID:
    deadline = time.monotonic() + CRON_PATIENCE_SECONDS
    with console.status("waiting for pg_cron's tick …"):
        while time.monotonic() < deadline:
            found = connection.execute(
                "select id from bilag.export_runs where org_id = %s and trigger = 'schedule'", (organization.id,)
            ).fetchone()
            if found is not None:
                run: UUID = found[0]
                return run
            time.sleep(0.25)
    raise TookTooLong("pg_cron did not tick: look at cron.job_run_details.")


def _count(scene: Stage, organization: Organization, how: str) -> Count:
    rows = scene.connection.execute(
        "select c.id::text, e.state = 'rejected', e.reference from bilag.expense_claims c"
        " join bilag.claim_exports e on e.claim_id = c.id where c.org_id = %s and c.status = 'approved'",
        (organization.id,),
    ).fetchall()
    expected = [reference or claim for claim, rejected, reference in rows if not rejected]
    tally = scene.systems.tally(scene.connection, organization, expected)
    return Count(
        organization.name,
        organization.integration_type,
        how,
        approved=len(rows),
        unbookable=organization.unmapped,
        rejected=len(rows) - len(expected),
        booked=tally.booked,
        missing=tally.missing,
        doubled=tally.doubled,
    )


def _reasons(connection: psycopg.Connection) -> list[tuple[str, int]]:
    return connection.execute(
        "select reason, count(*)::integer from bilag.claim_exports"
        " where state = 'rejected' group by 1 order by 2 desc, 1"
    ).fetchall()


def _one(connection: psycopg.Connection, query: LiteralString, *parameters: object) -> UUID:
    row = connection.execute(query, parameters).fetchone()
    if row is None:
        raise LookupError(query)
    found: UUID = row[0]
    return found


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (TookTooLong, PostgresMissing) as error:
        console.print(f"[bold red]{error}[/]")
        sys.exit(1)
