"""A whole installation for one story: its database, the accounting system on the other side, and real workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from dev.fakes.fake import Fake
from dev.fakes.remote import RemoteFake
from dev.postgres import Server
from dev.postgres.cluster import PostgresFailed
from dev.postgres.server import RestartMode
from tests.flow.books import Verdict, judge
from tests.flow.patience import NeverCame, until
from tests.flow.processes import CALM, HASTY, WorkerProcess
from tests.flow.tenant import ENDED, RECONNECT_SECONDS, Sturdy, Tenant


@dataclass(frozen=True)
class Connecting:
    """How an organisation is connected to its accounting system: the settings by its owner's code, the credential
    by its token.
    """

    kind: str
    settings: Callable[[str], dict[str, Any]]
    credential: Callable[[str], str] = str


class Installation:
    """``booked`` asks the accounting system for what a legal entity's ledger holds; ``add_owner`` makes one."""

    def __init__(
        self,
        database: Sturdy,
        folder: Path,
        url: str,
        booked: Callable[[str], list[dict[str, Any]]],
        add_owner: Callable[[str, str], str],
        connecting: Connecting | None = None,
    ) -> None:
        self.database, self.folder, self.url = database, folder, url
        self._booked, self._add_owner = booked, add_owner
        self._connecting = connecting or Connecting("xledger", lambda _: {"base_url": url})
        self.tenants: list[Tenant] = []
        self.workers: list[WorkerProcess] = []
        self.pace: Mapping[str, str] = CALM

    @property
    def server(self) -> Server:
        return self.database.server

    def organisation(self, name: str = "Testlaget", *, claims: int = 0, credential: bool = True) -> Tenant:
        """A tenant with its integration, its credential, Taxi and Meals mapped, and so many approved claims."""
        tenant = Tenant(self.database, name, "Europe/Oslo")
        tenant.token = f"secret-of-{tenant.id}"
        tenant.owner = self._add_owner(tenant.token, name)
        tenant.kind = self._connecting.kind
        tenant.integration(tenant.kind, self._connecting.settings(tenant.owner))
        tenant.map("Taxi", "7140", tenant.kind)
        tenant.map("Meals", "7150", tenant.kind)
        if credential:
            self.give_credential(tenant)
        if claims:
            tenant.approve(claims)
        self.tenants.append(tenant)
        return tenant

    def give_credential(self, tenant: Tenant) -> None:
        credential = self._connecting.credential(tenant.token)
        self.database.sql("select bilag.set_integration_credential(%s, %s, %s)", tenant.id, tenant.kind, credential)

    def hurry(self) -> None:
        """Leases and timeouts are as short as can be: for stories that wait for their end."""
        self.pace = HASTY

    def small_batches(self, vouchers: int) -> None:
        """Send only so many vouchers at once, so that a run has many steps."""
        self.database.sql("update bilag.integration_types set vouchers_per_batch = %s", vouchers)

    def worker(self, *arguments: str, dsn: str | None = None, **environment: str) -> WorkerProcess:
        made = WorkerProcess(
            dsn or self.database.dsn, self.folder, *arguments, environment={**self.pace, **environment}
        )
        self.workers.append(made)
        return made

    def restart(self, mode: RestartMode) -> None:
        """Stop the server and start it again; ``immediate`` is a crash."""
        self.server.stop(mode)
        until("the server starts", self._starts, RECONNECT_SECONDS)

    def tick(self) -> dict[str, Any]:
        """What pg_cron does every minute."""
        return dict(self.database.value("select bilag_internal.tick()"))

    def leased(self) -> int:
        """How many lanes a worker has."""
        found = self.database.value("select count(*) from bilag.export_lanes where lease_token is not null")
        return int(found)

    def live_on(self, run: UUID, tenant: Tenant) -> None:
        """Let time go on until the run has ended, by half a minute whenever no worker has anything in hand."""
        passed, step = timedelta(), timedelta(seconds=30)
        while tenant.status(run)["status"] not in ENDED:
            if passed > timedelta(days=3):
                raise NeverCame(f"The run did not end: {tenant.status(run)}")
            self._advance_when_idle(step)
            passed += step

    def live_through(self, time: timedelta) -> None:
        """Let so much time go by, by twenty minutes whenever no worker has anything in hand, with a tick after each."""
        step = timedelta(minutes=20)
        for _ in range(time // step):
            self._advance_when_idle(step)
            self.tick()

    def _advance_when_idle(self, step: timedelta) -> None:
        """A lease that ended under a worker because only the database's clock was moved would prove nothing."""
        until("nobody has a lane", lambda: not self.leased() and not self.due())
        self.database.advance(step)

    def look_now(self) -> None:
        """Whatever is in doubt or accepted is looked up now, not when it is due."""
        self.database.sql("update bilag.export_items set next_look_at = now() where next_look_at is not null")
        self.database.sql("select bilag_internal.wake_lanes(array(select integration_id from bilag.export_lanes))")

    def due(self) -> bool:
        """Whether a worker could take a lane now."""
        return bool(self.database.value("select (bilag_internal.work_left() ->> 'due')::integer > 0"))

    def verdict(self) -> Verdict:
        return sum((judge(t.claims(), self._booked(t.owner)) for t in self.tenants), Verdict())

    def until_right(self, seconds: float = 150) -> Verdict:
        """Wait until nothing is unsettled, and return the verdict, which must then be right."""
        until(
            "every claim is settled, and in the ledger",
            lambda: self.verdict().is_right or self.verdict().doubled,
            seconds,
            told=lambda: str(self.verdict()),
        )
        verdict = self.verdict()
        assert verdict.is_right, verdict
        return verdict

    def alerts(self) -> set[str]:
        """The kinds of the open alerts."""
        return {kind for (kind,) in self.database.sql("select kind from bilag.alerts where resolved_at is null")}

    def _starts(self) -> bool:
        try:
            self.server.start()
        except PostgresFailed as error:
            if "Address already in use" not in str(error):  # somebody's outgoing connection was given our port
                raise
            return False
        return True

    def close(self) -> None:
        """Kill what still runs, and see that no secret is in any log."""
        for worker in self.workers:
            if worker.alive:
                worker.kill()
        self.database.close()
        logs = "".join(worker.log.read_text(encoding="utf-8") for worker in self.workers)
        assert not [tenant.token for tenant in self.tenants if tenant.token in logs], "a secret is in a worker's log"


def beside_thread(database: Sturdy, folder: Path, erp: Fake, connecting: Connecting | None = None) -> Installation:
    """An installation whose accounting system is served by a thread of this process."""

    def booked(owner: str) -> list[dict[str, Any]]:
        return [voucher.as_json() for voucher in erp.ledger.vouchers(owner)]

    return Installation(database, folder, erp.url, booked, erp.add_tenant, connecting)


def beside_process(database: Sturdy, folder: Path, erp: RemoteFake, connecting: Connecting) -> Installation:
    """An installation whose accounting system is a process of its own."""
    return Installation(database, folder, erp.url, erp.vouchers, erp.add_owner, connecting)
