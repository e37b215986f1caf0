"""Procrastinate's worker as its documentation runs it: drains, or serves and tells of each job."""

from __future__ import annotations

import asyncio
import sys

from benchmarks import peer
from benchmarks.children import Stopwatch, await_word, say
from benchmarks.sizes import CONCURRENCY


async def drain() -> None:
    async with peer.app.open_async() as running:
        await_word()
        with Stopwatch():
            await running.run_worker_async(wait=False, concurrency=CONCURRENCY, listen_notify=False)


async def serve() -> None:
    peer.told = say
    async with peer.app.open_async() as running:
        say("ready")
        await running.run_worker_async(concurrency=CONCURRENCY)


if __name__ == "__main__":
    asyncio.run({"drain": drain, "serve": serve}[sys.argv[1]]())
