"""Everything at once, by a seed: workers killed, Postgres crashed, cables cut, a hostile vendor, and work all the time.

The plan is drawn before the storm begins, so a seed repeats it as far as real processes can be repeated. Waits of hours
are shortened by letting time pass for what waits (``let_time_pass``), never for a lease or for what proves an absence.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import LiteralString

import psycopg

from dev.fakes.remote import RemoteFake
from tests.chaos.obstacles import HEARTBEATS, ITEMS, LANE, RUN, locked
from tests.chaos.proxy import Proxy
from tests.chaos.weather import LET_TIME_PASS, XLEDGER, Weather
from tests.flow.installation import Installation
from tests.flow.processes import WorkerProcess

PAUSE = (0.2, 0.9)
"""Seconds between two blows."""
MEET_SECONDS = 4.0

WAKE = "select bilag_internal.wake_lanes(array(select l.integration_id from bilag.export_lanes l))"


@dataclass
class Storm:
    """``figures`` counts each kind of blow."""

    here: Installation
    erp: RemoteFake
    cable: Proxy
    chance: random.Random
    workers: int
    weather: Weather = XLEDGER
    figures: Counter[str] = field(default_factory=Counter)
    supplied: int = 0
    _frozen: list[tuple[float, WorkerProcess]] = field(default_factory=list)

    # -- the play ----------------------------------------------------------------------------------------------------

    def rage(self, kills: int, outages: int, mischief: int) -> None:
        """So many kills and outages, in the order that chance wants, with so much of everything else in between."""
        plan: list[Callable[[], None]] = []
        plan += self._some([self.kill, self.kill_inside_vendor, *self._kills_behind_locks()], kills)
        plan += self._some([self.crash, self.restart, self.cut, self.cut_after_commit], outages)
        others = [self.terminate_sessions, self.purge, self.freeze]
        plan += self._some([*others, *[self.hostility] * self.weather.malice], mischief)
        self.chance.shuffle(plan)
        for blow in plan:
            self.supply()
            self.staff()
            self._ask_again()
            self.let_time_pass()
            with contextlib.suppress(psycopg.OperationalError):  # the blow before may still be felt
                blow()
            time.sleep(self.chance.uniform(*PAUSE))

    def calm(self, seconds: float) -> None:
        """No more blows: what is left must come to its end by itself. Gives up when nothing has moved for so long."""
        for _, worker in self._frozen:
            worker.thaw()
        self.erp.do("clear_faults")
        least, deadline = None, time.monotonic() + seconds
        while not (verdict := self.here.verdict()).is_right and time.monotonic() < deadline:
            left = len(verdict.lost) + len(verdict.unsettled)
            if least is None or left < least:
                least, deadline = left, time.monotonic() + seconds
            self.staff()
            self._ask_again()
            self.let_time_pass()
            time.sleep(1)

    def supply(self) -> None:
        """Approve more claims while there is not enough to do."""
        open_claims = self.here.database.value("select count(*) from bilag.expense_claims where not booked")
        if open_claims < 30 * len(self.here.tenants):
            org = self.chance.choice(self.here.tenants)
            org.approve(20, prefix=f"S{self.supplied}")
            self.supplied += 20
            org.insert_run()

    def staff(self) -> None:
        """As many living workers as there should be; every other one reaches Postgres by the cable."""
        for moment, worker in list(self._frozen):
            if time.monotonic() > moment:
                worker.thaw()
                self._frozen.remove((moment, worker))
        for _ in range(self.workers - len(self._living())):
            through = self.cable.dsn if len(self.here.workers) % 2 else None
            self.here.worker("--concurrency", "2", dsn=through)  # so that one death does not stop every lane

    def let_time_pass(self) -> None:
        self.here.database.sql(LET_TIME_PASS)
        self.here.database.sql(WAKE)
        self.here.tick()

    # -- blows -------------------------------------------------------------------------------------------------------

    def kill(self) -> None:
        self._kill(self._busy(), "at any moment")

    def kill_inside_vendor(self) -> None:
        """With a batch in the vendor's hands: executed, and never answered."""
        self.erp.do("commit_then_hang", on=self.chance.choice(self.weather.writes))
        time.sleep(self.chance.uniform(0.3, 1.0))
        self._kill(self._busy(), "inside the vendor")

    def crash(self) -> None:
        self.here.restart("immediate")
        self.figures["database crashed"] += 1

    def restart(self) -> None:
        self.here.restart("fast")
        self.figures["database restarted"] += 1

    def cut(self) -> None:
        self.cable.cut()
        self.figures["cable cut"] += 1

    def cut_after_commit(self) -> None:
        if not self.cable.still_doomed:
            self.cable.cut_after_commit_of(self.chance.choice(["claim_exports", "settle_exports", "beat"]))
        self.figures["cable cut after a commit"] += 1

    def terminate_sessions(self) -> None:
        self.here.database.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and application_name like 'bilag worker%%' and random() < 0.4"
        )
        self.figures["sessions terminated"] += 1

    def purge(self) -> None:
        self.here.database.sql("select pgmq.purge_queue('bilag_exports')")
        self.here.tick()
        self.figures["queue purged"] += 1

    def freeze(self) -> None:
        """Longer than its lease, so that somebody takes over; then it wakes up."""
        worker = self._busy()
        worker.freeze()
        self._frozen.append((time.monotonic() + 8, worker))
        self.figures["frozen and woken"] += 1

    def hostility(self) -> None:
        verb, arguments = self.chance.choice(self.weather.hostile)
        self.erp.do(verb, **arguments)
        self.figures[f"vendor: {verb}"] += 1

    # -- hands -------------------------------------------------------------------------------------------------------

    def _kills_behind_locks(self) -> Iterator[Callable[[], None]]:
        for name, statement in (("settle", LANE), ("claim", RUN), ("heartbeat", HEARTBEATS), ("rescue", ITEMS)):

            def blow(name: str = name, statement: LiteralString = statement) -> None:
                with locked(self.here, statement):
                    time.sleep(self.chance.uniform(0.1, 0.5))
                    self._kill(self._busy(), f"during {name}")

            yield blow

    def _kill(self, worker: WorkerProcess, where: str) -> None:
        worker.kill()
        self._frozen = [(moment, frozen) for moment, frozen in self._frozen if frozen is not worker]
        self.figures["kills"] += 1
        self.figures[f"killed {where}"] += 1

    def _busy(self) -> WorkerProcess:
        """A worker that holds a lane, if one can be met within some seconds."""
        deadline = time.monotonic() + MEET_SECONDS
        while not (holders := self._holders()) and time.monotonic() < deadline:
            time.sleep(0.02)
        self.figures["met with a lane in hand"] += bool(holders)
        return self.chance.choice(holders or self._living())

    def _holders(self) -> list[WorkerProcess]:
        rows = self.here.database.sql(
            "select distinct w.pid from bilag.export_lanes l"
            " join bilag.worker_heartbeats w on w.worker_id = l.leased_by where l.lease_token is not null"
        )
        return [worker for worker in self._living() if (worker.pid,) in rows]

    def _living(self) -> list[WorkerProcess]:
        return [worker for worker in self.here.workers if worker.alive]

    def _ask_again(self) -> None:
        """A run that failed in the storm is asked for again, as a treasurer would."""
        for org in self.here.tenants:
            running = org.database.value(
                "select count(*) from bilag.export_runs where org_id = %s and finished_at is null", org.id
            )
            if not running:
                org.insert_run()

    def _some(self, blows: list[Callable[[], None]], count: int) -> list[Callable[[], None]]:
        return [self.chance.choice(blows) for _ in range(count)]
