"""An event loop whose clock jumps to the next timer as soon as nothing else is left to do.

A minute of retries takes no time, and a wait of 2.5 seconds is 2.5 seconds to the last digit. For coroutines that wait
for timers only: a real socket is given no time at all.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = 1000.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self._virtual

    def advance(self, seconds: float) -> None:
        self._virtual += seconds


class _Jumping(selectors.SelectSelector):
    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout:
            self._loop.advance(timeout)
        return ready


VIRTUAL_TIME = ("asyncio", {"loop_factory": VirtualTimeLoop})
"""What a module's fixture ``anyio_backend`` returns to run its coroutines in virtual time."""


def clock() -> float:
    """What time it is in the loop: virtual seconds."""
    return asyncio.get_running_loop().time()
