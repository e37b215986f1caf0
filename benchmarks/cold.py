"""How soon does a worker work after its start, what does it hold in memory, and what does it cost while idle?

The start is the whole process: the interpreter, its imports, the connection, until the claim that takes the run which
lies ready. A container that scales from zero, or a restart during a deploy, waits that long. Both workers are started
by their own command lines.
"""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from statistics import median
from typing import LiteralString

from benchmarks import grounds, peer
from benchmarks.children import child, environment
from benchmarks.grounds import Ground
from benchmarks.observed import cpu_seconds, most_memory
from benchmarks.rows import Row, number
from benchmarks.sizes import Sizes
from dev.postgres import Server

LIMIT_SECONDS = 0.3
RUNS = 1000
OUR_WORKER = ("worker", "worker")
THEIR_WORKER = ("procrastinate", "--app=benchmarks.peer.app", "worker")
OUR_START: LiteralString = "select max(started_at) from bilag.export_runs"
THEIR_START: LiteralString = "select max(at) from procrastinate_events where type = 'started'"
_SETTLING_SECONDS = 1.5
_PATIENCE_SECONDS = 60


def answer(server: Server, sizes: Sizes) -> list[Row]:
    ours, theirs = grounds.bilag(server), peer.ground(server)
    ours.tenants(1)
    starts: dict[str, list[tuple[float, float]]] = {"ours": [], "theirs": []}
    for _ in range(sizes.starts):
        ours.runs()
        starts["ours"].append(_start(ours, OUR_WORKER, OUR_START))
        peer.defer(theirs, 1)
        starts["theirs"].append(_start(theirs, THEIR_WORKER, THEIR_START))
    ours.settle_down()
    our_idle, their_idle = _idle(ours, OUR_WORKER, sizes), _idle(theirs, THEIR_WORKER, sizes)
    ours.tenants(RUNS - 1)
    memory = _after_runs(ours, "our_worker"), _after_runs(theirs, "peer_worker")
    return [*_start_rows(starts), *_idle_rows(our_idle, their_idle), _memory_row(*memory)]


def _start(ground: Ground, command: Sequence[str], started: LiteralString) -> tuple[float, float]:
    """Seconds from before the process is made until the database's time of the first claim; seconds of CPU until then.

    The latter are the same on a busy machine; they hold a little of what the worker does next, too.
    """
    ground.settle_down()
    began = time.time()
    with _running(ground, command) as process:
        until = began + _PATIENCE_SECONDS
        while not isinstance(first := ground.value(started), datetime) or first.timestamp() < began:
            assert time.time() < until, f"{command[0]} did not begin"
            time.sleep(0.02)
        used = cpu_seconds(process.pid)
    return first.timestamp() - began, used


def _idle(ground: Ground, command: Sequence[str], sizes: Sizes) -> dict[str, float]:
    """Memory of a worker that has had nothing to do, and what it does to the server meanwhile, per second."""
    with _running(ground, command) as process:
        time.sleep(_SETTLING_SECONDS + 1)
        commits, cpu = ground.commits(), cpu_seconds(process.pid)
        time.sleep(sizes.idle_seconds)
        used = cpu_seconds(process.pid) - cpu
        done = ground.commits() - commits
        return {
            "memory": most_memory(process.pid),
            "transactions": max(done - 1, 0) / sizes.idle_seconds,  # one of them was ours, to ask
            "cpu": used / sizes.idle_seconds * 100,
        }


def _after_runs(ground: Ground, module: str) -> float:
    """The most memory that a worker held until it had done its thousandth job."""
    with child(module, ground, "serve") as worker:
        if module == "our_worker":
            ground.claims()
            ground.runs()
        else:
            peer.defer(ground, RUNS)
        for _ in range(RUNS):
            worker.hear()
        time.sleep(_SETTLING_SECONDS)
        return most_memory(worker.pid)


@contextmanager
def _running(ground: Ground, command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    started = [sys.executable, "-m", *command]
    nothing = subprocess.DEVNULL
    with subprocess.Popen(started, env=environment(ground), stdin=nothing, stdout=nothing, stderr=nothing) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(40)


def _start_rows(starts: dict[str, list[tuple[float, float]]]) -> list[Row]:
    ours, theirs = (median(took for took, _used in starts[who]) for who in ("ours", "theirs"))
    used, worst = median(used for _took, used in starts["ours"]), max(took for took, _used in starts["ours"])
    question, said = "process start to first claim", f"worst {number(worst)} s; CPU {number(used)} s"
    limit = f"limit: {LIMIT_SECONDS:g} s"
    return [
        Row(question, ours, "s", limit, ours / LIMIT_SECONDS, at_most=1, beside=said),
        Row(question, ours, "s", f"procrastinate: {number(theirs)} s", ours / theirs),
    ]


def _idle_rows(ours: dict[str, float], theirs: dict[str, float]) -> list[Row]:
    kinds = (
        ("most memory, idle", "memory", "MiB"),
        ("transactions of an idle worker", "transactions", "/s"),
        ("CPU of an idle worker", "cpu", "% of a core"),
    )
    return [_beside_peer(question, ours[kind], theirs[kind], unit) for question, kind, unit in kinds]


def _memory_row(ours: float, theirs: float) -> Row:
    return _beside_peer(f"most memory, after {RUNS:,} runs of one claim", ours, theirs, "MiB")


def _beside_peer(question: str, ours: float, theirs: float, unit: str) -> Row:
    known = theirs > 0 and not math.isnan(ours)
    return Row(question, ours, unit, f"procrastinate: {number(theirs)} {unit}", ours / theirs if known else None)
