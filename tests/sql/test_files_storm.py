"""Whatever dies, comes late, is cancelled or retried: each claim is in one file, once, and files never change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any
from uuid import UUID

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import Job, Report
from tests.sql.file_worker import FileWorker, numbers, small_batches


class World:
    """An organisation whose runs become files, and workers that keep what they were given for as long as they like."""

    def __init__(self, bilag: Bilag, worker: FileWorker, dice: Random) -> None:
        self.bilag, self.worker, self.dice = bilag, worker, dice
        self.org = Organisation(bilag.database, "Drawn", "Europe/Oslo", bilag.connection)
        self.org.integration("file", {"format": "csv"})
        self.org.map("Taxi", "7140", "file")
        self.unsaid: list[Report] = []
        self.claims = 0
        self.seen: dict[UUID, bytes] = {}

    def step(self) -> None:
        doing: list[Callable[[], Any]] = [self.work] * 5 + [self.approve] * 3 + [self.request] * 2
        doing += [self.say_late, self.say_late, self.worker.tick, self.cancel, self.retry]
        doing += [lambda: self.bilag.advance(seconds=self.dice.choice([1, 7, 30, 61, 200]))] * 3
        self.dice.choice(doing)()
        self.files_do_not_change()

    def approve(self) -> None:
        count = self.dice.randint(1, 6)
        self.org.approve(count, prefix=f"P{self.claims}")
        self.claims += count

    def request(self) -> None:
        self.org.request(kind="file")

    def work(self) -> None:
        for job in self.worker.claim():
            self.do(job)

    def do(self, job: Job) -> None:
        """Render it; then report it once or twice, or die with it in hand, or with it said in the end."""
        report = self.worker.render(job)
        fate = self.dice.randrange(7)
        if fate == 0:
            return
        if fate <= 2:
            self.unsaid.append(report)
            return
        for _ in range(self.dice.choice([1, 1, 2])):
            for following in self.worker.tell(report):
                self.do(following)

    def say_late(self) -> None:
        if self.unsaid:
            for following in self.worker.tell(self.unsaid.pop(self.dice.randrange(len(self.unsaid)))):
                self.do(following)

    def cancel(self) -> None:
        self.decide("select bilag.cancel_export(id) from bilag.export_runs where org_id = %s and finished_at is null")

    def retry(self) -> None:
        self.decide(
            "select bilag.retry_export(id) from bilag.export_runs where org_id = %s"
            " and status in ('failed', 'partially_succeeded', 'cancelled')"
        )

    def decide(self, query: str) -> None:
        try:
            self.bilag.connection.execute(f"{query} order by random() limit 1".encode(), [self.org.id])
        except psycopg.Error as error:
            if error.sqlstate != "KB004":
                raise

    def files(self) -> dict[UUID, bytes]:
        query = "select run_id, content from bilag.export_files where org_id = %s"
        return dict(self.bilag.connection.execute(query.encode(), [self.org.id]).fetchall())

    def files_do_not_change(self) -> None:
        now = self.files()
        assert {run: now[run] for run in self.seen} == self.seen
        self.seen = now

    def calm(self) -> None:
        for _ in range(20):
            self.bilag.advance(hours=7)
            self.worker.tick()
            self.request()
            self.worker.export()
            if self.exported() == self.claims:
                return

    def exported(self) -> int:
        return list(self.org.states("file").values()).count("exported")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), length=st.integers(10, 60))
def test_every_claim_stands_in_one_file_once(bilag: Bilag, files: FileWorker, seed: int, length: int) -> None:
    files.hello()  # what earlier worlds did of the clock may have pruned it
    world = World(bilag, files, Random(seed))  # noqa: S311 - reproducible
    world.approve()
    small_batches(world.org, 2)
    for _ in range(length):
        world.step()
    world.calm()
    assert world.exported() == world.claims, world.org.states("file")
    world.files_do_not_change()
    written = Counter(number for content in world.files().values() for number in numbers(content))
    assert written == Counter(dict.fromkeys(world.org.states("file"), 1))
    by_run = dict(
        bilag.database.sql(
            "select run_id, count(*) from bilag.export_items where org_id = %s and state = 'exported' group by 1",
            world.org.id,
        )
    )
    assert {run: len(numbers(content)) for run, content in world.files().items()} == by_run
    left = bilag.database.value("select count(*) from bilag_internal.file_pieces")
    assert left == bilag.database.value("select count(*) from bilag_internal.files_begun") == 0
    assert bilag.database.sql("select kind from bilag.open_alerts where kind in ('doubled', 'vanished')") == []
