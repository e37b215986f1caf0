"""How long from the commit of a request until the accounting system is called, by an idle worker?

Between lie the notification, the claim with its mapping and its write-ahead mark, durably committed, and the adapter.
Both ends are read from one monotonic clock. The peer is procrastinate: a job deferred, its worker listening.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import psycopg

from benchmarks import grounds, peer
from benchmarks.children import Child, child
from benchmarks.rows import Row, number, percentile
from benchmarks.sizes import Sizes
from dev.postgres import Server

LIMIT_MS = 2.0
_REQUEST = "select bilag.request_export(%s, 'noop')"
_SETTLING_SECONDS = 1.5
"""Until a worker that has started listens and has found that nothing is due."""
_PAUSE_SECONDS = 0.03
"""Until it has reported the last job and is idle again."""


def answer(server: Server, sizes: Sizes) -> list[Row]:
    ours, theirs = grounds.bilag(server), peer.ground(server)
    ours.tenants(sizes.requests)
    ours.claims()
    organisations = [row[0] for row in ours.sql("select id from bilag.organizations")]
    for ground in (ours, theirs):
        ground.settle_down()
    found: dict[str, list[float]] = {"ours": [], "theirs": []}
    with child("our_worker", ours, "serve") as our_worker, child("peer_worker", theirs, "serve") as their_worker:
        time.sleep(_SETTLING_SECONDS)
        with psycopg.connect(ours.dsn, autocommit=True) as asking, peer.client(theirs).open() as app:
            task = app.configure_task("noop")
            for organisation in organisations:
                found["ours"].append(_wait(our_worker, partial(asking.execute, _REQUEST, (organisation,))))
                found["theirs"].append(_wait(their_worker, task.defer))
    return _rows(found["ours"], found["theirs"])


def _wait(worker: Child, ask: Callable[[], object]) -> float:
    """Milliseconds from the answer to the request until the worker's handler was called."""
    time.sleep(_PAUSE_SECONDS)
    ask()
    committed = time.monotonic()
    return (float(worker.hear()) - committed) * 1000


def _rows(ours: list[float], theirs: list[float]) -> list[Row]:
    middle, peers = percentile(ours, 0.5), percentile(theirs, 0.5)
    late, peers_late = percentile(ours, 0.95), percentile(theirs, 0.95)
    return [
        Row("commit to handler, p50", middle, "ms", f"limit: {LIMIT_MS:g} ms", middle / LIMIT_MS, at_most=1),
        Row("commit to handler, p50", middle, "ms", f"procrastinate: {number(peers)} ms", middle / peers),
        Row("commit to handler, p95", late, "ms", f"procrastinate: {number(peers_late)} ms", late / peers_late),
    ]
