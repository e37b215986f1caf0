"""Work that lies ready is drained by a process of its own: how fast, for how much CPU, in how many transactions."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median

from benchmarks import grounds, peer
from benchmarks.children import child
from benchmarks.grounds import Ground
from benchmarks.observed import cpu_seconds_of_children
from dev.postgres import Cluster

IDLE = "idle "
"""What the names of organisations without claims begin with."""
_LAST_WORDS_SECONDS = 0.3
"""After this long a session whose client has gone has ended too, and the server has counted what it did."""


@dataclass(frozen=True)
class Drained:
    """One measurement of one drain. ``cpu`` is of worker and server together, in microseconds for one job."""

    rate: float
    cpu: float
    commits: float


def median_of(drains: list[Drained], figure: str) -> float:
    return median(float(getattr(drain, figure)) for drain in drains)


def raw(ground: Ground, messages: int) -> Drained:
    """The raw loop over a queue of so many messages."""
    grounds.send_raw(ground, messages)
    return _measure(ground, messages, "raw_loop")


def empty_runs(ground: Ground, runs: int) -> Drained:
    """Runs that find no claim, in lanes of their own."""
    ground.runs(IDLE)
    return ours(ground, runs)


def runs_of_one(ground: Ground, runs: int) -> Drained:
    """Runs that post one voucher each."""
    ground.claims()
    ground.runs()
    return ours(ground, runs)


def ours(ground: Ground, many: int) -> Drained:
    """Our worker over what is queued. Fails when not everything ended well: a benchmark of failures says nothing."""
    drained = _measure(ground, many, "our_worker", "drain")
    left = ground.value(
        "select (select count(*) from bilag.export_runs where status not in ('succeeded', 'waiting'))"
        " + (select count(*) from bilag.export_items where state <> 'exported')"
    )
    assert left == 0, f"{left} runs or claims did not succeed"
    return drained


def peer_jobs(ground: Ground, jobs: int) -> Drained:
    """Procrastinate's worker over so many no-op jobs."""
    peer.defer(ground, jobs)
    return _measure(ground, jobs, "peer_worker", "drain")


def _measure(ground: Ground, many: int, module: str, *arguments: str) -> Drained:
    ground.settle_down()
    commits, cpu = ground.commits(), _server_cpu(ground)
    with child(module, ground, *arguments) as process:
        process.begin()
        took = process.hear()
    time.sleep(_LAST_WORDS_SECONDS)
    spent = took["cpu"] + _server_cpu(ground) - cpu
    return Drained(many / took["seconds"], spent / many * 1e6, (ground.commits() - commits) / many)


def _server_cpu(ground: Ground) -> float:
    """Seconds of CPU of all sessions that have ended; nan where the server is not our own."""
    if not isinstance(ground.server, Cluster):
        return float("nan")
    return cpu_seconds_of_children(
        int((ground.server.data_dir / "postmaster.pid").read_text(encoding="ascii").split()[0])
    )
