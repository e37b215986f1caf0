"""Runs, items, leases and faults against a small model of the truth: whatever order hypothesis thinks of.

The model is the vendor's ledger, and what is still on its way into it. Workers are played by hand and keep two rules of
real ones: a write is begun only if its lease leaves room for it, and a look-up says what is there. The vendor keeps its
announced one: what has not arrived a minute after a write began never will.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import psycopg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.chaos import LONG
from tests.chaos.model import FATES, Held, Played
from tests.fix_bilag import NOON, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker


class Exports(Played, RuleBasedStateMachine):
    def __init__(self) -> None:
        Played.__init__(self)
        RuleBasedStateMachine.__init__(self)
        self.runs: list[Any] = []
        self.approved = 0

    @initialize()
    def found(self) -> None:
        self.database.set_clock(NOON)
        self.org = Organisation(self.database, "Testlaget", "Europe/Oslo")
        self.org.integration()
        self.org.map("Taxi", "7140")
        self.org.connection.close()
        self.approve(3)

    # -- people ------------------------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 4))
    def approve(self, count: int) -> None:
        self.org.approve(count, prefix=f"C{self.approved}")
        self.approved += count

    @rule()
    def request(self) -> None:
        self.runs.append(self.org.request())

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), verb=st.sampled_from(["cancel_export", "retry_export"]))
    def decide_about_a_run(self, data: st.DataObject, verb: str) -> None:
        run = data.draw(st.sampled_from(self.runs))
        try:
            if verb == "cancel_export":
                self.database.sql("select bilag.cancel_export(%s)", run)
            else:
                self.database.sql("select bilag.retry_export(%s)", run)
        except psycopg.Error as error:
            if error.sqlstate != "KB004":  # not in a state for this: people are told so
                raise

    @rule(paused=st.booleans())
    def pause_or_resume(self, paused: bool) -> None:
        if paused:
            self.database.sql("select bilag.pause_integration(%s, 'xledger', 'a person')", self.org.id)
        else:
            self.database.sql("select bilag.resume_integration(%s, 'xledger')", self.org.id)

    @rule()
    def resolve_as_not_booked(self) -> None:
        """A person is wrong as often as right; the vendor is asked once more, so it may not matter."""
        for (claim,) in self.database.sql(
            "select claim_id from bilag.export_items where org_id = %s and state = 'in_doubt' limit 1", self.org.id
        ):
            self.database.sql("select bilag.resolve_in_doubt(%s, 'xledger', 'not_booked')", claim)

    # -- workers -----------------------------------------------------------------------------------------------------

    @rule()
    def claim(self) -> None:
        self.held += [Held(job, self.now) for job in self.worker.claim(lease=60, delivery=600)]

    @precondition(lambda self: any(held.said is None for held in self.held))
    @rule(data=st.data(), fate=st.sampled_from(FATES))
    def work(self, data: st.DataObject, fate: str) -> None:
        held = data.draw(st.sampled_from([held for held in self.held if held.said is None]))
        self.do(held, fate)

    @precondition(lambda self: any(held.said is not None for held in self.held))
    @rule(data=st.data(), again=st.booleans())
    def tell(self, data: st.DataObject, again: bool) -> None:
        """Report a job, in time or long after its lease, once or twice."""
        held = data.draw(st.sampled_from([held for held in self.held if held.said is not None]))
        self.settle(held)
        if again:
            self.settle(held)
        self.held.remove(held)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        self.held.remove(data.draw(st.sampled_from(self.held)))

    @rule(fates=st.lists(st.sampled_from(FATES), min_size=1, max_size=4))
    def a_round(self, fates: list[str]) -> None:
        """A worker that does not die takes what is due, does it and reports it, batch after batch."""
        before = list(self.held)
        self.claim()
        for fate in fates:
            for held in [held for held in self.held if held not in before]:
                self.do(held, fate)
                self.held.remove(held)
                self.settle(held)
                self.nothing_is_doubled()
        self.held = before

    # -- the world ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.vendor.coming)
    @rule(data=st.data())
    def arrive(self, data: st.DataObject) -> None:
        self.vendor.arrive(data.draw(st.sampled_from(self.vendor.coming)))

    @rule(seconds=st.sampled_from([1, 6, 21, 47, 61, 400, 4000]))
    def time_passes(self, seconds: int) -> None:
        then = self.now + timedelta(seconds=seconds)
        for batch in [batch for batch in self.vendor.coming if batch.until <= then]:
            self.vendor.arrive(batch)
        self.database.set_clock(then)

    @rule()
    def tick(self) -> None:
        self.worker.tick()

    @rule()
    def purge(self) -> None:
        self.database.sql("select pgmq.purge_queue('bilag_exports')")

    # -- what always holds -------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_doubled(self) -> None:
        on_its_way = Counter(self.vendor.booked)
        for batch in self.vendor.coming:
            on_its_way.update(batch.references)
        assert all(times == 1 for times in on_its_way.values()), on_its_way

    @invariant()
    def what_the_database_calls_booked_is_booked(self) -> None:
        if self.approved:
            rows = self.database.sql(
                "select reference from bilag.export_items where org_id = %s and state = 'exported'", self.org.id
            )
            assert all(self.vendor.booked[reference] for (reference,) in rows)

    def teardown(self) -> None:
        """Everybody behaves from now on: every claim must come to be booked, exactly once."""
        if not self.approved:
            return
        self.held.clear()
        self.pause_or_resume(paused=False)
        for seconds in (61, 400, 4000, 30_000, 90_000):
            self.time_passes(seconds)
            self.worker.tick()
            self.request()
            self.claim()
            while self.held:
                held = self.held[0]
                self.do(held, "booked")
                self.settle(held)
                self.held.remove(held)
                self.nothing_is_doubled()
        states = Counter(self.org.states().values())
        assert states == {"exported": self.approved}, states
        assert len(self.vendor.booked) == self.approved


def test_whatever_happens_in_whatever_order_each_claim_is_booked_once(database: Database) -> None:
    database.sql("update bilag.integration_types set vouchers_per_batch = 2")
    Exports.database = database
    Exports.worker = FakeWorker(database)
    Exports.worker.hello()
    run_state_machine_as_test(
        Exports,
        settings=settings(
            max_examples=200 if LONG else 12,
            stateful_step_count=50 if LONG else 30,
            deadline=None,
            derandomize=not LONG,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
