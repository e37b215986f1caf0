"""The limits per user, counted for real once they are switched on (A8, all [MS]).

6000 requests in a sliding window of five minutes; five requests processed at once, 95 waiting, and 429 for what comes
beyond; after eight minutes in the queue 503. Retry-After is documented for 502 and 503 alone, so a 429 has none.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dev.fakes.dynamics365.errors import BcError

OPERATION_SECONDS = 8 * 60.0
"""An operation that takes longer is cancelled with its session: 408."""
NO_LIMIT = 1_000_000


@dataclass
class Limits:
    """``rate``: (requests, seconds). ``processing``: requests at once. ``queue``: how many may wait for that,
    for ``queue_seconds``.
    """

    rate: tuple[int, float] | None = None
    processing: int | None = None
    queue: int = 95
    queue_seconds: float = OPERATION_SECONDS
    _recent: dict[str, deque[datetime]] = field(default_factory=lambda: defaultdict(deque))
    _inside: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _gates: dict[str, asyncio.Semaphore] = field(default_factory=dict)

    def refusal(self, user: str, now: datetime) -> BcError | None:
        """Why this user's request is refused, if it is; otherwise it is counted."""
        if self.processing is not None and self._inside[user] >= self.processing + self.queue:
            return _too_many(self._inside[user] + 1, self.processing + self.queue)
        if self.rate is None:
            return None
        most, seconds = self.rate
        recent = self._recent[user]
        while recent and recent[0] <= now - timedelta(seconds=seconds):
            recent.popleft()
        if len(recent) >= most:
            return _too_many(len(recent) + 1, most)
        recent.append(now)
        return None

    @asynccontextmanager
    async def place(self, user: str) -> AsyncIterator[bool]:
        """A place among those that are processed; false when none came free in time."""
        self._inside[user] += 1
        gate = self._gates.setdefault(user, asyncio.Semaphore(self.processing or NO_LIMIT))
        try:
            got = await _got(gate, self.queue_seconds)
            try:
                yield got
            finally:
                if got:
                    gate.release()
        finally:
            self._inside[user] -= 1


async def _got(gate: asyncio.Semaphore, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await gate.acquire()
    except TimeoutError:
        return False


def _too_many(actual: int, most: int) -> BcError:
    """[3P]"""
    message = f"Too many requests reached. Actual ({actual}). Maximum ({most})."
    return BcError(429, "Application_TooManyRequests", message)
