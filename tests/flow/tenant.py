"""An organisation as a story sees it, and its database, whose server may be restarted under it."""

from __future__ import annotations

from typing import Any, LiteralString
from uuid import UUID

import psycopg

from tests.fix_bilag import Organisation
from tests.fix_postgres import Connection, Database
from tests.flow.books import Claim
from tests.flow.patience import until

ENDED = ("succeeded", "partially_succeeded", "failed", "cancelled")

RECONNECT_SECONDS = 60


class Sturdy(Database):
    """A database whose server is restarted under it: a statement that met the outage is asked again."""

    def sql(self, query: LiteralString, *params: Any) -> list[tuple[Any, ...]]:
        answers: list[list[tuple[Any, ...]]] = []

        def ask() -> bool:
            try:
                answers.append(super(Sturdy, self).sql(query, *params))
            except psycopg.OperationalError:
                return False
            return True

        until("the database answers", ask, RECONNECT_SECONDS)
        return answers[-1]

    def owner(self) -> Connection:
        """A connection in autocommit mode that the story itself uses: to lock, or to look."""
        return self.connect()


class Tenant(Organisation):
    """An organisation that books in a legal entity of its own. ``owner`` is that entity's code."""

    owner = ""
    token = ""
    kind = "xledger"

    @property
    def lane(self) -> UUID:
        found = self.database.value("select id from bilag.integration_config where org_id = %s", self.id)
        assert isinstance(found, UUID)
        return found

    def insert_run(self) -> UUID:
        """Queue an export the plainest way."""
        run = self.database.value(
            "insert into bilag.export_runs (org_id, integration_type) values (%s, %s) returning id", self.id, self.kind
        )
        assert isinstance(run, UUID)
        return run

    def count(self, state: str) -> int:
        """How many of its items are in this state."""
        found = self.database.value(
            "select count(*) from bilag.export_items where org_id = %s and state = %s", self.id, state
        )
        return int(found)

    def until_ended(self, run: UUID, **patience: float) -> dict[str, Any]:
        """Wait for the end of a run; its last status."""

        def ended() -> dict[str, Any]:
            status = self.status(run)
            return status if status["status"] in ENDED else {}

        return until(f"run {run} ends", ended, told=lambda: str(self.status(run)), **patience)

    def until_state(self, state: str, at_least: int = 1) -> None:
        until(f"{at_least} items are {state}", lambda: self.count(state) >= at_least, told=lambda: str(self.states()))

    def claims(self) -> list[Claim]:
        rows = self.database.sql(
            "select c.claim_number, i.state, i.reference, s.amount, e.claim_id is not null"
            " from bilag.expense_claims c"
            " cross join lateral"
            " (select sum(l.amount) as amount from bilag.expense_claim_lines l where l.claim_id = c.id) s"
            " left join bilag.claim_exclusions e on e.claim_id = c.id"
            " left join lateral"
            " (select x.* from bilag.export_items x where x.claim_id = c.id order by x.id desc limit 1) i on true"
            " where c.org_id = %s and c.status = 'approved'",
            self.id,
        )
        return [Claim(*row) for row in rows]
