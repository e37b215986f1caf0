"""An outage, briefly: Xledger is switched off and on again; checks see it, exports wait it out, nothing is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from dev.chart import UNMAPPED
from dev.demo.show import TookTooLong, console, watch
from dev.fakes.remote import RemoteFake
from dev.sample import Organization, claims
from worker.cli.health import draw

PATIENCE_SECONDS = 60
CLAIMS = 3


def outage(connection: psycopg.Connection, fake: RemoteFake, organization: Organization) -> None:
    """Play it with one organisation. Its new claims are approved, and booked when it is over."""
    play = _Play(connection, organization)
    console.print(f"\nAn outage, at {organization.name}: its treasurer has the connection checked by RPC.")
    play.ask("select bilag.request_health_check(%s)", organization.id)
    play.until("the connection is checked", lambda: play.health is not None)
    console.print(f"  {play.said()}")
    fake.do("maintenance", retry_after="120")
    console.print("Xledger is switched off. Three checks, for which this demo does not wait 45 minutes:")
    for failures in (1, 2, 3):
        play.hurry()
        play.until("it is checked", lambda failures=failures: play.failures >= failures)  # type: ignore[misc]
        console.print(f"  {play.said()}")
    console.print(f"  open alerts: {', '.join(play.alerts()) or 'none'}")
    run = play.claims_are_held()
    console.print(f"{CLAIMS} claims are approved and to be exported meanwhile: {play.standing()}")
    fake.do("maintenance_over")
    play.hurry()
    play.until("it answers", lambda: (play.health or {})["status"] != "unreachable")
    console.print(f"Xledger is switched on. {play.said()}; open alerts: {', '.join(play.alerts()) or 'none'}")
    play.do("update bilag.export_lanes set circuit_open_until = now() where org_id = %s", organization.id)
    play.ask("select bilag.retry_export(%s)", run)
    watch(connection, [(organization.name, run)])
    console.print(draw(play.trend()))


class _Play:
    def __init__(self, connection: psycopg.Connection, organization: Organization) -> None:
        self.connection, self.organization = connection, organization

    def do(self, query: LiteralString, *parameters: Any) -> Any:
        """As the owner; the first column of the first row."""
        cursor = self.connection.execute(query, parameters)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    def ask(self, query: LiteralString, *parameters: Any) -> Any:
        """As the treasurer, the way PostgREST does it."""
        claims = json.dumps({"sub": str(self.organization.treasurer), "role": "authenticated"})
        with self.connection.transaction():
            self.connection.execute("set local role authenticated")
            self.connection.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
            return self.do(query, *parameters)

    @property
    def health(self) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.do(
            "select to_jsonb(s) from bilag.integration_health_status s where s.org_id = %s", self.organization.id
        )
        return found

    @property
    def failures(self) -> int:
        return int((self.health or {}).get("consecutive_failures", 0))

    def said(self) -> str:
        health = self.health or {}
        words = health.get("error_message") or f"{health.get('latency_ms')} ms"
        return f"{health.get('status')}: {words}"

    def standing(self) -> str:
        return str(self.do("select status from bilag.overview where org_id = %s", self.organization.id))

    def alerts(self) -> list[str]:
        rows = self.connection.execute(
            "select kind from bilag.open_alerts where org_id = %s order by kind", (self.organization.id,)
        )
        return [kind for (kind,) in rows if kind in ("integration_unreachable", "circuit_open")]

    def trend(self) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute("select * from bilag.health_trend where org_id = %s", (self.organization.id,))
            return cursor.fetchall()

    def hurry(self) -> None:
        """The next check is due now."""
        self.do(
            "update bilag.integration_health_status set next_check_at = now() where org_id = %s", self.organization.id
        )
        self.do("update bilag_internal.health_rounds set due_at = now() where org_id = %s", self.organization.id)
        self.do("select bilag_internal.tick()")

    def claims_are_held(self) -> Any:
        """Approve claims and ask for their export, which fails until the circuit opens; the run."""
        good = [c for c in claims(self.organization) if not any(line["category"] in UNMAPPED for line in c["lines"])]
        fresh = [{**claim, "claim_number": f"outage-{n}"} for n, claim in enumerate(good[:CLAIMS], start=1)]
        self.do("select bilag.upsert_claims(%s, %s)", self.organization.id, Jsonb(fresh))
        run = self.ask("select bilag.request_export(%s, %s)", self.organization.id, self.organization.integration_type)
        for failures in range(1, 6):
            self.until("the export has failed", lambda failures=failures: self._failed() >= failures)  # type: ignore[misc]
            if failures < 5:
                self.ask("select bilag.retry_export(%s)", run)
        return run

    def _failed(self) -> int:
        return int(self.do("select failures from bilag.export_lanes where org_id = %s", self.organization.id))

    def until(self, what: str, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not true():
            if time.monotonic() > deadline:
                raise TookTooLong(f"It never came to this: {what}. {self.said()}; {self.standing()}")
            time.sleep(0.1)
