"""How long to wait before asking the database again, and saying once that it is gone and once that it is back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from worker import telemetry


@dataclass(slots=True)
class Backoff:
    """Doubles from ``first`` to ``most`` seconds, a fifth of it left to chance, until :meth:`reset`."""

    first: float = 0.1
    most: float = 2.0
    _next: float = 0.0

    async def sleep(self) -> None:
        await asyncio.sleep(self.next())

    def next(self) -> float:
        self._next = min(max(self._next * 2, self.first), self.most)
        return self._next * random.uniform(0.8, 1.2)  # noqa: S311 - spreads workers, guards nothing

    def reset(self) -> None:
        self._next = 0.0


@dataclass(slots=True)
class Outages:
    """Whether the database answers. ``lost`` and ``back`` may be told as often as calls are made."""

    on_outage: Callable[[], None] = lambda: None
    down: bool = False
    backoff: Backoff = field(default_factory=Backoff)

    def lost(self, reason: str) -> None:
        if not self.down:
            self.down = True
            self.on_outage()
            telemetry.warning("database.lost", message=reason)

    def back(self) -> None:
        if self.down:
            self.down = False
            telemetry.info("database.reconnected")
        self.backoff.reset()
