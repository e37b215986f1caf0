"""No outcome is ever dropped, and all that wait go together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.virtual_time import VIRTUAL_TIME
from worker.database import Job, Outage, Refusal
from worker.settler import Report, Settler

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return VIRTUAL_TIME


class Counter:
    """The database's side: ``trouble`` is raised first, ``bad`` lanes are refused, ``held`` ones put off."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.trouble: list[Exception] = []
        self.bad: set[str] = set()
        self.held: set[str] = set()
        self.takes = 0.01

    async def __call__(self, reports: Sequence[Report]) -> list[Job]:
        await asyncio.sleep(self.takes)
        if self.trouble:
            raise self.trouble.pop(0)
        lanes = [report["lane"] for report in reports]
        if self.bad & set(lanes):
            raise Refusal("a value is out of range", "22003")
        self.calls.append([lane for lane in lanes if lane not in self.held])
        return [{"kind": "later", "lane": lane, "token": None} for lane in lanes if lane in self.held]

    @property
    def settled(self) -> list[str]:
        return [lane for call in self.calls for lane in call]


@asynccontextmanager
async def settling(counter: Counter) -> AsyncIterator[tuple[Settler, list[str]]]:
    home: list[str] = []
    settler = Settler(counter, lambda reports, _jobs, _since: home.extend(r["lane"] for r in reports))
    task = asyncio.create_task(settler.run())
    yield settler, home
    task.cancel()


def report(lane: str) -> Report:
    return {"lane": lane, "results": []}


async def test_reports_of_the_same_moment_go_in_one_call() -> None:
    counter = Counter()
    async with settling(counter) as (settler, home):
        for lane in "abc":
            settler.put(report(lane))
        await settler.all_home()
        assert counter.calls == [["a", "b", "c"]]
        assert home == ["a", "b", "c"]


async def test_while_one_call_is_under_way_the_next_reports_gather() -> None:
    counter = Counter()
    counter.takes = 1
    async with settling(counter) as (settler, _home):
        settler.put(report("a"))
        await asyncio.sleep(0.5)
        for lane in "bcd":
            settler.put(report(lane))
        await settler.all_home()
        assert counter.calls == [["a"], ["b", "c", "d"]]


async def test_during_an_outage_reports_are_kept_and_told_again_until_they_are_home() -> None:
    counter = Counter()
    counter.trouble = [Outage("gone")] * 20
    async with settling(counter) as (settler, home):
        settler.put(report("a"))
        await asyncio.sleep(1)
        assert home == []
        settler.put(report("b"))
        await settler.all_home()
        assert sorted(counter.settled) == ["a", "b"]


async def test_the_waits_of_an_outage_grow_but_stay_short() -> None:
    counter = Counter()
    counter.trouble = [Outage("gone")] * 12
    async with settling(counter) as (settler, _home):
        began = asyncio.get_running_loop().time()
        settler.put(report("a"))
        await settler.all_home()
        assert 10 < asyncio.get_running_loop().time() - began < 30


async def test_one_report_that_is_refused_does_not_keep_the_others() -> None:
    counter = Counter()
    counter.bad = {"c"}
    async with settling(counter) as (settler, home):
        for lane in "abcdefg":
            settler.put(report(lane))
        await settler.all_home()
        assert sorted(counter.settled) == list("abdefg")
        assert sorted(home) == list("abcdefg")  # its lane is given up: the lease runs out and a look-up finds it


async def test_a_report_refused_for_a_moment_is_told_again() -> None:
    counter = Counter()
    counter.trouble = [Refusal("function does not exist", "42883")]
    async with settling(counter) as (settler, _home):
        settler.put(report("a"))
        await settler.all_home()
        assert counter.settled == ["a"]


async def test_a_flood_goes_in_bundles_of_two_hundred() -> None:
    counter = Counter()
    async with settling(counter) as (settler, _home):
        for number in range(450):
            settler.put(report(str(number)))
        await settler.all_home()
        assert [len(call) for call in counter.calls] == [200, 200, 50]


async def test_a_lane_that_somebody_holds_keeps_no_other_waiting_and_is_told_again() -> None:
    counter = Counter()
    counter.held = {"b"}
    async with settling(counter) as (settler, home):
        for lane in "abc":
            settler.put(report(lane))
        await asyncio.sleep(1.6)
        assert home == ["a", "c"]
        assert settler.waiting == 1
        settler.put(report("d"))
        await asyncio.sleep(0.1)
        assert home == ["a", "c", "d"]
        counter.held = set()
        await settler.all_home()
        assert home == ["a", "c", "d", "b"]
