"""Whatever workers, wires and clocks do: in the end every claim is in the vendor's ledger once, and we know it.

The vendor books what reaches it, as often as it does. A write may land up to 55 seconds after its worker gave up on it
or lost its lease; absence may be believed after 60.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker, Item, Job, Report, failed, report


@dataclass
class World:
    """A vendor, workers that come and go, and what is on its way between them."""

    bilag: Bilag
    org: Organisation
    worker: FakeWorker
    dice: Random
    now: datetime
    booked: Counter[str] = field(default_factory=Counter)
    landing: list[tuple[datetime, str]] = field(default_factory=list)
    unsaid: list[tuple[datetime, Report]] = field(default_factory=list)
    claims: int = 0

    def pass_time(self, seconds: int) -> None:
        self.bilag.advance(seconds=seconds)
        self.now += timedelta(seconds=seconds)
        for due, reference in [each for each in self.landing if each[0] <= self.now]:
            self.landing.remove((due, reference))
            self.booked[reference] += 1

    def write(self, item: Item, given_up: datetime) -> str:
        """One voucher is sent; what its worker can honestly say of it."""
        reference = item["voucher"]["reference"]
        match self.dice.randrange(7):
            case 0:
                return "unsent"
            case 1 | 2 | 3:
                self.landing.append((given_up + timedelta(seconds=self.dice.randrange(56)), reference))
                return "unknown"
            case 4:
                self.booked[reference] += 1
                return "unknown"
            case _:
                self.booked[reference] += 1
                return self.dice.choice(["exported", "accepted"])

    def look(self, item: Item) -> str:
        if self.dice.randrange(5) == 0:
            return "unknown"
        return self.dice.choice(["exported", "accepted"]) if self.booked[item["voucher"]["reference"]] else "absent"

    def do(self, job: Job) -> None:
        """A worker does a job: it reports, or dies and reports too late, or never."""
        dies = self.dice.randrange(4) == 0
        given_up = self.now + timedelta(seconds=60 if dies else 0)
        if job["kind"] == "post":
            told = report(job, lambda item: self.write(item, given_up))
            doubtful = any(result["outcome"] in ("unknown", "unsent") for result in told["results"])
            told["failure"] = failed("timeout") if doubtful and self.dice.randrange(2) else None
        else:
            told = report(job, self.look)
        if dies:
            if self.dice.randrange(2):
                self.unsaid.append((given_up, told))
            return
        for _ in range(self.dice.choice([1, 1, 2])):
            for following in self.worker.tell(told):
                self.do(following)

    def step(self) -> None:
        doing: list[Callable[[], object]] = [
            self.work, self.work, self.work, self.approve, self.org.request, self.worker.tick, self.say_late,
            self.purge, self.cancel, self.retry, self.resolve, self.pause,
            lambda: self.pass_time(self.dice.choice([5, 20, 90, 400])), lambda: self.pass_time(5),
            lambda: self.pass_time(61), self.resolve, self.say_late,
        ]  # fmt: skip
        self.dice.choice(doing)()

    def work(self) -> None:
        for job in self.worker.claim(2):
            self.do(job)

    def approve(self) -> None:
        self.claims += 1
        self.org.claim(f"C-{self.claims}")

    def say_late(self) -> None:
        over = [each for each in self.unsaid if each[0] < self.now]
        if over:
            late = self.dice.choice(over)
            self.unsaid.remove(late)
            for following in self.worker.tell(late[1]):
                self.do(following)

    def purge(self) -> None:
        self.bilag.database.sql("select pgmq.purge_queue('bilag_exports')")

    def cancel(self) -> None:
        self.bilag.database.sql(
            "select bilag.cancel_export(id) from bilag.export_runs where org_id = %s and finished_at is null limit 1",
            self.org.id,
        )

    def retry(self) -> None:
        self.bilag.database.sql(
            "select bilag.retry_export(id) from bilag.export_runs"
            " where org_id = %s and status in ('failed', 'partially_succeeded', 'cancelled') limit 1",
            self.org.id,
        )

    def resolve(self) -> None:
        """A person says what the vendor's ledger shows at this moment; more may be on its way."""
        rows = self.bilag.database.sql(
            "select claim_id, reference from bilag.export_items where org_id = %s and state = 'in_doubt' limit 1",
            self.org.id,
        )
        for claim, reference in rows:
            outcome = "booked" if self.booked[reference] else "not_booked"
            self.bilag.database.sql("select bilag.resolve_in_doubt(%s, 'xledger', %s)", claim, outcome)

    def pause(self) -> None:
        until = self.now + timedelta(seconds=100)
        self.bilag.database.sql("select bilag.pause_integration(%s, 'xledger', 'dice', %s)", self.org.id, until)

    def calm(self) -> None:
        """Everything works again, for as long as it takes."""
        self.pass_time(200)
        while self.unsaid:
            self.say_late()
            self.pass_time(200)
        for _ in range(40):
            self.pass_time(7 * 3600)
            self.org.request()
            self.worker.tick()
            self.worker.work(self.settle_honestly)
            if set(self.org.states().values()) <= {"exported"} and len(self.org.states()) == self.claims:
                return

    def settle_honestly(self, job: Job, item: Item) -> str:
        reference = item["voucher"]["reference"]
        if job["kind"] == "post":
            self.booked[reference] += 1
        return "exported" if self.booked[reference] else "absent"


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), length=st.integers(5, 60))
def test_every_claim_is_booked_exactly_once(bilag: Bilag, worker: FakeWorker, seed: int, length: int) -> None:
    bilag.database.sql("update bilag.integration_types set vouchers_per_batch = 3")
    now = bilag.database.value("select bilag_internal.now()")
    world = World(bilag, bilag.organisation("Drawn"), worker, Random(seed), now)  # noqa: S311  # reproducible
    for _ in range(length):
        world.step()
    world.calm()
    states = world.org.states()
    assert list(states.values()) == ["exported"] * world.claims
    assert sorted(world.booked.values()) == [1] * world.claims
    assert bilag.database.sql("select kind from bilag.open_alerts where kind = 'doubled'") == []
    assert bilag.database.value("select bilag.verify_audit(%s)", world.org.id) is None
