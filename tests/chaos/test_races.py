"""Two verbs at once on one lane, the first paused before its commit: in every order, everything still ends well.

Each pair meets a run in the middle of its life: two vouchers booked, two in doubt, two in a worker's hands; behind it
is one that was cancelled and can be retried. Whatever the two do, no claim may be lost or booked twice, no lane may
die, and no deadlock may come of it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, LiteralString

import psycopg
import pytest

from dev.postgres import Server
from tests.chaos import LONG
from tests.fix_bilag import NOON, Organisation
from tests.fix_postgres import Connection, Database, copied
from tests.flow.patience import until
from tests.sql.fake_worker import FakeWorker, Item, Job, failed, report

Pair = tuple[Connection, Connection]
Ground = tuple[Database, Pair, tuple[FakeWorker, FakeWorker]]

VERBS = ("request", "again", "retry", "cancel", "pause", "resolve", "settle", "tick", "claim", "reverse", "release")


class Race:
    """One lane in the middle of a run, and the vendor's ledger as it really is."""

    def __init__(self, database: Database, sessions: Pair, workers: tuple[FakeWorker, FakeWorker]) -> None:
        self.database, self.sessions = database, sessions
        self.org = Organisation(database, "Testlaget", "Europe/Oslo")
        self.org.integration()
        self.org.map("Taxi", "7140")
        self.org.approve(6)
        self.org.connection.close()
        self.worker, self.other = workers
        self.booked = Counter[str]()
        self.cancelled = self.org.request()
        database.sql("select bilag.cancel_export(%s)", self.cancelled)
        self.run = self.org.request()
        booked, lost, self.in_hand = self._three_batches()
        assert (len(booked["items"]), len(lost["items"]), len(self.in_hand["items"])) == (2, 2, 2)
        self.claimed: list[Job] = []
        self.told = False

    def post(self, job: Job) -> None:
        self.booked.update(item["voucher"]["reference"] for item in job["items"])

    def truth(self, job: Job, item: Item) -> str:
        """What a worker says of an item: it posts what is to be posted, and finds what is there."""
        reference = item["voucher"]["reference"]
        if job["kind"] == "post":
            self.booked[reference] += 1
            return "exported"
        return "exported" if self.booked[reference] else "absent"

    def verb(self, name: str, session: Connection) -> Callable[[], None]:
        """One of the racing verbs on this session."""
        if name == "settle" and not self.told:
            self.told = True
            self.post(self.in_hand)
        queries: dict[str, tuple[LiteralString, tuple[Any, ...]]] = {
            "request": ("select bilag.request_export(%s, 'xledger')", (self.org.id,)),
            "again": ("select bilag.retry_export(%s)", (self.cancelled,)),
            "retry": ("select bilag.retry_export(%s)", (self.run,)),
            "cancel": ("select bilag.cancel_export(%s)", (self.run,)),
            "pause": ("select bilag.pause_integration(%s, 'xledger', 'race')", (self.org.id,)),
            "resolve": ("select bilag.resolve_in_doubt(%s, 'xledger', 'booked')", (self._doubtful(),)),
            "reverse": ("select bilag.reverse_export(%s, 'xledger', '2026-03-02', 'race')", (self._booked(),)),
            "release": ("select bilag.release_for_reexport(%s, 'xledger', 'race')", (self._booked(),)),
            "settle": (
                "select bilag_internal.settle_exports(%s, %s)",
                (self.worker.id, psycopg.types.json.Jsonb([report(self.in_hand, release=True)])),
            ),
            "tick": ("select bilag_internal.tick()", ()),
            "claim": ("select bilag_internal.claim_exports(%s, 5, 60, 150)", (self.other.id,)),
        }
        query, parameters = queries[name]

        def act() -> None:
            try:
                rows = session.execute(query, parameters).fetchall()
            except psycopg.Error as error:
                if not (error.sqlstate or "").startswith("KB"):
                    raise
                session.rollback()
                return
            if name == "claim":
                self.claimed += [row[0] for row in rows if row[0]]

        return act

    def fail(self) -> None:
        """The batch in hand does not get through: the run waits, and a person may hurry it."""
        self.worker.settle(self.in_hand, "unsent", failure=failed(), release=True)

    def run_both(self, first: str, second: str) -> None:
        """The first acts and does not commit; the second acts, or waits; the first commits, then the second."""
        one, two = self.sessions
        pid = two.info.backend_pid
        self.verb(first, one)()
        failed: list[BaseException] = []
        act = self.verb(second, two)

        def follow() -> None:
            try:
                act()
            except BaseException as error:  # noqa: BLE001  # told to the test, which is in another thread
                failed.append(error)

        follower = threading.Thread(target=follow)
        follower.start()
        until("the second waits or is done", lambda: not follower.is_alive() or self._waits(pid))
        one.commit()
        follower.join(30)
        assert not follower.is_alive(), f"{second} waits for ever behind {first}"
        two.commit()
        if failed:
            raise failed[0]

    def ends_well(self) -> None:
        """Everybody goes on as if nothing had happened: in the end each claim is booked exactly once."""
        for job in self.claimed:
            self.worker.settle(job, lambda item, job=job: self.truth(job, item), release=True)  # type: ignore[misc]
        self.database.sql("select bilag.resume_integration(%s, 'xledger')", self.org.id)
        self.org.request()
        for minutes in (2, 60, 400):
            self.worker.work(self.truth)
            self.database.sql("select bilag_internal.advance_clock(%s * interval '1 minute')", minutes)
            self.worker.tick()
        self.worker.work(self.truth)
        assert set(self.org.states().values()) == {"exported"}, self.org.states()
        # A release of what is there releases nothing; a reversal books one more voucher, once.
        assert list(self.booked.values()) == [1] * (6 + self._reversed()), self.booked

    def _three_batches(self) -> tuple[Job, Job, Job]:
        (first,) = self.worker.claim()
        self.post(first)
        (second,) = self.worker.settle(first)
        self.post(second)
        (third,) = self.worker.settle(second, "unknown")
        return first, second, third

    def _booked(self) -> Any:
        return self.database.value(
            "select min(claim_id::text)::uuid from bilag.export_items where org_id = %s and state = 'exported'",
            self.org.id,
        )

    def _reversed(self) -> int:
        query: LiteralString = (
            "select count(*) from bilag.export_items where org_id = %s and reverses is not null and holds"
        )
        return int(self.database.value(query, self.org.id))

    def _doubtful(self) -> Any:
        return self.database.value(
            "select min(claim_id::text)::uuid from bilag.export_items where org_id = %s and state = 'in_doubt'",
            self.org.id,
        )

    def _waits(self, pid: int) -> bool:
        return bool(
            self.database.value(
                "select coalesce(bool_or(wait_event_type = 'Lock'), false) from pg_stat_activity where pid = %s", pid
            )
        )


@pytest.fixture(scope="module")
def ground(server: Server, template: str) -> Iterator[Ground]:
    with copied(server, template) as database:
        database.sql("update bilag.integration_types set vouchers_per_batch = 2, absence_after = '0 s'")
        workers = FakeWorker(database), FakeWorker(database)
        for worker in workers:
            worker.hello()
        yield database, (database.connect(autocommit=False), database.connect(autocommit=False)), workers


def cases() -> Iterator[tuple[str, str, str]]:
    """Every pair in both orders; a lease that is lost matters to those who take lanes over. The long form: all.

    ``waiting``: there is no lease, the run waits after a failure. Only then does a retry of it do anything.
    """
    for first, second in product(VERBS, VERBS):
        taking = "tick" in (first, second) or "claim" in (first, second)
        for lease in ("held", "lost"):
            if LONG or taking == (lease == "lost"):
                yield first, second, lease
        if "retry" in (first, second) and "settle" not in (first, second):
            yield first, second, "waiting"


@pytest.mark.parametrize(("first", "second", "lease"), list(cases()))
def test_two_verbs_at_once_lose_and_double_nothing(ground: Ground, first: str, second: str, lease: str) -> None:
    database, _, _ = ground
    database.set_clock(NOON)
    race = Race(*ground)
    if lease == "lost":
        database.sql("select bilag_internal.advance_clock('61 s')")
    if lease == "waiting":
        race.fail()
    race.run_both(first, second)
    race.ends_well()
