"""Bilag's worker as it is, with the accounting system that does nothing: drains, or serves and tells of each post."""

from __future__ import annotations

import asyncio
import sys
import time

from benchmarks.adapters import in_place
from benchmarks.children import Stopwatch, await_word, say
from worker import telemetry
from worker.service import Service, serve
from worker.settings import Settings, load


async def drain(settings: Settings) -> None:
    service = Service(settings, drain=True, queues=("exports",))  # the others have one queue, too
    await service.watchman.greet()  # its first connection is open now
    await_word()
    with Stopwatch():
        await service.run()
    await service.close()


async def tell(settings: Settings) -> None:
    from benchmarks.adapters.noop import NoopAdapter

    NoopAdapter.called = staticmethod(lambda: say(time.monotonic()))
    say("ready")
    await serve(settings)


if __name__ == "__main__":
    telemetry.configure("error")
    with in_place():
        asyncio.run({"drain": drain, "serve": tell}[sys.argv[1]](load()))
