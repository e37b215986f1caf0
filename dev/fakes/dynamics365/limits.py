"""The limits per user, counted for real once they are switched on (A8, all [MS]).

6000 requests in a sliding window of five minutes; five requests processed at once, 95 waiting, and 429 for what comes
beyond. Retry-After is documented for 502 and 503 alone, so a 429 has none.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dev.fakes.dynamics365.errors import BcError

OPERATION_SECONDS = 8 * 60.0
"""An operation that takes longer is cancelled with its session: 408."""
GATEWAY_SECONDS = 10 * 60.0
"""A request that takes longer is answered by the gateway: 504."""


@dataclass
class Limits:
    """``rate``: (requests, seconds). ``processing``: requests at once. ``queue``: how many may wait for that."""

    rate: tuple[int, float] | None = None
    processing: int | None = None
    queue: int = 95
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

    async def enter(self, user: str) -> None:
        """Wait for a place among those that are processed."""
        self._inside[user] += 1
        if self.processing is not None:
            gate = self._gates.setdefault(user, asyncio.Semaphore(self.processing))
            try:
                await gate.acquire()
            except BaseException:
                self._inside[user] -= 1
                raise

    def leave(self, user: str) -> None:
        self._inside[user] -= 1
        if user in self._gates:
            self._gates[user].release()


def _too_many(actual: int, most: int) -> BcError:
    """[3P]"""
    message = f"Too many requests reached. Actual ({actual}). Maximum ({most})."
    return BcError(429, "Application_TooManyRequests", message)
