"""Does what waits slow down what is due?

The same no-op jobs are drained in two databases: one holds nothing else, the other as many runs that wait for tomorrow,
each in a lane of its own. The peer is asked the same: its delayed jobs lie in the table that it polls.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import drained, grounds, peer
from benchmarks.drained import Drained, median_of
from benchmarks.grounds import Ground
from benchmarks.rows import Row, number, of_medians
from benchmarks.sizes import Sizes
from dev.postgres import Server


def answer(server: Server, sizes: Sizes) -> list[Row]:
    ours = _pair(lambda: grounds.bilag(server))
    for ground in ours:
        ground.tenants(sizes.runs)
        ground.tenants(sizes.idle, drained.IDLE)
    ours[1].delayed(sizes.delayed)
    theirs = _pair(lambda: peer.ground(server))
    peer.defer(theirs[1], sizes.delayed, delayed=True)
    subjects: dict[str, tuple[tuple[Ground, Ground], Callable[[Ground], Drained]]] = {
        "no-op runs": (ours, lambda ground: drained.empty_runs(ground, sizes.idle)),
        "no-op runs of one claim": (ours, lambda ground: drained.runs_of_one(ground, sizes.runs)),
        "procrastinate's jobs": (theirs, lambda ground: drained.peer_jobs(ground, sizes.jobs)),
    }
    drains: dict[str, tuple[list[Drained], list[Drained]]] = {name: ([], []) for name in subjects}
    for nth in range(sizes.repetitions):
        for name, (pair, drain) in subjects.items():
            for which in (0, 1) if nth % 2 == 0 else (1, 0):  # who comes second finds a warmer machine
                drains[name][which].append(drain(pair[which]))
    return [_row(name, alone, beside, sizes.delayed) for name, (alone, beside) in drains.items()]


def _pair(make: Callable[[], Ground]) -> tuple[Ground, Ground]:
    return make(), make()


def _row(name: str, alone: list[Drained], beside: list[Drained], delayed: int) -> Row:
    return Row(
        f"{name} beside {delayed:,} delayed ones",
        median_of(beside, "rate"),
        "/s",
        f"without: {number(median_of(alone, 'rate'))} /s",
        of_medians([drain.rate for drain in beside], [drain.rate for drain in alone]),
        at_least=None if "procrastinate" in name else 0.95,
        beside=f"CPU {of_medians([d.cpu for d in beside], [d.cpu for d in alone]):.2f} times",
    )
