"""How long do 500 claims take against a ledger that answers every call in 150 ms?

One organisation with 500 approved claims of one to six lines, the stand-in for Xledger with its rules and limits in a
process of its own, and a worker that has started already: from the request until every claim is exported.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from benchmarks import grounds
from benchmarks.children import environment
from benchmarks.grounds import Ground
from benchmarks.rows import Row
from benchmarks.sizes import Sizes
from dev.fakes.remote import RemoteFake, running
from dev.postgres import Server
from dev.sample import Organization, load

LIMIT_SECONDS = 8
LATENCY_SECONDS = 0.15
_SETTLING_SECONDS = 1.5
_PATIENCE_SECONDS = 60


def answer(server: Server, sizes: Sizes) -> list[Row]:
    sample = Organization("Landslaget", "999888777", "xledger", claims=sizes.exported, unmapped=0)
    ground = grounds.bilag(server)
    with running("--latency", str(LATENCY_SECONDS)) as url:
        erp = RemoteFake(url, "xledger")
        token = "benchmark-token"  # noqa: S105 - of a ledger that exists for these seconds
        owner = erp.add_owner(token, sample.name)
        with psycopg.connect(ground.dsn, autocommit=True) as connection:
            load(connection, sample, {"base_url": erp.url}, token)
        ground.settle_down()
        with _worker(ground):
            took = _export(ground, sample)
        calls = sum(erp.state()["calls"].values())
        booked = len(erp.vouchers(owner))
    assert booked == sizes.exported, f"{booked} of {sizes.exported} claims are in the ledger"
    floor = calls * LATENCY_SECONDS
    question, said = f"{sizes.exported} claims, 150 ms a call", f"{calls} calls"
    return [
        Row(question, took, "s", f"limit: {LIMIT_SECONDS} s", took / LIMIT_SECONDS, at_most=1, beside=said),
        Row(question, took, "s", f"its calls alone: {floor:.2f} s", took / floor),
    ]


def _export(ground: Ground, sample: Organization) -> float:
    began = time.monotonic()
    run = ground.value("select bilag.request_export(%(org)s, 'xledger')", org=sample.id)
    while ground.value("select finished_at is null from bilag.export_runs where id = %(run)s", run=run):
        assert time.monotonic() < began + _PATIENCE_SECONDS, "the run did not end in time"
        time.sleep(0.02)
    return time.monotonic() - began


@contextmanager
def _worker(ground: Ground) -> Iterator[None]:
    command = [sys.executable, "-m", "worker", "worker"]
    surroundings = environment(ground) | {"BILAG_ALLOWED_HTTP_HOSTS": "127.0.0.1"}
    with subprocess.Popen(
        command,
        env=surroundings,
    ) as process:
        try:
            time.sleep(_SETTLING_SECONDS)
            yield
        finally:
            process.terminate()
            process.wait(40)
