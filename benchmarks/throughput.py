"""How many no-op jobs a second go through the real path?

Held against the fastest loop over pgmq (read a hundred, archive them), which does a small part of the work, and against
procrastinate, a job queue on Postgres. A run without claims ends in the call that claims it; a run with one claim is
mapped, marked, posted and settled; the one run of many claims shows what a voucher costs.
"""

from __future__ import annotations

from benchmarks import drained, grounds, peer
from benchmarks.drained import Drained, median_of
from benchmarks.rows import Row, number, of_medians
from benchmarks.sizes import Sizes
from dev.postgres import Server

OURS = {"empty": "no-op runs, no claims", "one": "no-op runs, one claim each"}
PEERS = {"raw": "raw pgmq loop", "peer": "procrastinate"}
AIMS = {("empty", "raw"): 0.5}


def answer(server: Server, sizes: Sizes) -> list[Row]:
    ours, theirs = grounds.bilag(server), peer.ground(server)
    ours.tenants(sizes.runs)
    ours.tenants(sizes.idle, drained.IDLE)
    drains: dict[str, list[Drained]] = {name: [] for name in (*PEERS, *OURS)}
    for _ in range(sizes.repetitions):
        drains["raw"].append(drained.raw(ours, sizes.messages))
        drains["empty"].append(drained.empty_runs(ours, sizes.idle))
        drains["one"].append(drained.runs_of_one(ours, sizes.runs))
        drains["peer"].append(drained.peer_jobs(theirs, sizes.jobs))
    rows = [_rate(drains, name, against) for name in OURS for against in PEERS]
    rows += [_cpu(drains, name, "raw") for name in OURS]
    return [*rows, _vouchers(drains, large_run(ours, sizes.claims), sizes.claims)]


def large_run(ground: grounds.Ground, claims: int) -> Drained:
    """One run of so many claims, counted in vouchers."""
    ground.tenants(1, "large ")
    ground.claims(claims, "large ")
    ground.runs("large ")
    return drained.ours(ground, claims)


def _rate(drains: dict[str, list[Drained]], name: str, against: str) -> Row:
    ours, theirs = drains[name], drains[against]
    return Row(
        OURS[name],
        median_of(ours, "rate"),
        "runs/s",
        f"{PEERS[against]}: {number(median_of(theirs, 'rate'))} /s",
        of_medians([drain.rate for drain in ours], [drain.rate for drain in theirs]),
        at_least=AIMS.get((name, against)),
        beside=f"{number(median_of(ours, 'commits'))} commits each",
    )


def _cpu(drains: dict[str, list[Drained]], name: str, against: str) -> Row:
    ours, theirs = drains[name], drains[against]
    return Row(
        f"{OURS[name]}: CPU of server and worker",
        median_of(ours, "cpu"),
        "µs each",
        f"{PEERS[against]}: {number(median_of(theirs, 'cpu'))} µs",
        of_medians([drain.cpu for drain in ours], [drain.cpu for drain in theirs]),
    )


def _vouchers(drains: dict[str, list[Drained]], large: Drained, claims: int) -> Row:
    peer_rate = median_of(drains["peer"], "rate")
    return Row(
        f"one run of {claims:,} claims",
        large.rate,
        "vouchers/s",
        f"procrastinate: {number(peer_rate)} jobs/s",
        large.rate / peer_rate,
        beside=f"{number(large.cpu)} µs of CPU each",
    )
