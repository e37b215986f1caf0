"""Xledger's own limits, counted for real once they are switched on.

Burst is 20 requests in 5 seconds; the number for concurrency is not published; credits come back at a moment that the
error tells in ``extensions.resetAt``, whose exact format is unknown. All are off until a test sets them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dev.fakes.xledger.schema import DATETIME, LOCAL, VendorError

BURST = (20, 5.0)
"""Requests, in seconds."""


@dataclass
class Limits:
    """``burst``: (requests, seconds). ``concurrency``: requests at once. ``credits``: cost units per window."""

    burst: tuple[int, float] | None = None
    concurrency: int | None = None
    credits: int | None = None
    credit_window: timedelta = timedelta(minutes=20)
    _recent: deque[datetime] = field(default_factory=deque)
    _spent: int = 0
    _resets_at: datetime | None = None

    def refusal(self, now: datetime, in_flight: int, cost: int) -> VendorError | None:
        """Why this request is refused, if it is; otherwise it is counted."""
        if self.concurrency is not None and in_flight > self.concurrency:
            return VendorError("Too many requests", "BAD_REQUEST.CONCURRENCY_LIMIT_REACHED")
        if self.burst is not None and self._bursts(now, *self.burst):
            return VendorError("Rate limited", "BAD_REQUEST.BURST_RATE_LIMIT_REACHED")
        if self.credits is not None and self._overspends(now, cost, self.credits):
            resets_at = (self._resets_at or now).astimezone(LOCAL).strftime(DATETIME)
            return VendorError("Not enough credits", "BAD_REQUEST.INSUFFICIENT_CREDITS", {"resetAt": resets_at})
        return None

    def _bursts(self, now: datetime, requests: int, seconds: float) -> bool:
        while self._recent and self._recent[0] <= now - timedelta(seconds=seconds):
            self._recent.popleft()
        if len(self._recent) >= requests:
            return True
        self._recent.append(now)
        return False

    def _overspends(self, now: datetime, cost: int, most: int) -> bool:
        if self._resets_at is None or now >= self._resets_at:
            self._spent, self._resets_at = 0, now + self.credit_window
        if self._spent + cost > most:
            return True
        self._spent += cost
        return False
