"""What this process may still do: the leases it holds, by its own clock, and the heart that renews them.

A lease fences our tables; nothing fences the accounting system. So a write is begun only when this process's clock
leaves the write's whole timeout before the lease ends, counted from before the call that granted it. A lost lease
stops writing; it never stops reporting.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from worker import telemetry
from worker.database import Outage, Refusal

Clock = Callable[[], float]
Beat = Callable[[Sequence[UUID]], Awaitable[set[UUID]]]


def now() -> float:
    """Seconds of a clock that also counts while the process or the machine sleeps."""
    return time.clock_gettime(_CLOCK)


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@dataclass(slots=True, eq=False)
class Lease:
    """The right to work on one lane. ``ends`` and ``deadline`` (of the delivery) are readings of ``clock``."""

    token: UUID
    ends: float
    deadline: float
    clock: Clock = now
    renew: Callable[[], Awaitable[None]] | None = None
    misses: int = 0

    @property
    def lost(self) -> bool:
        """Twice not renewed: once may mean that somebody had the lane locked for a moment."""
        return self.misses > 1

    async def allows(self, seconds: float) -> bool:
        """Whether a write that may take this long may be begun now; asks for a renewal first if that helps."""
        if self.clock() + seconds > self.deadline:  # no lease is renewed beyond its delivery
            return False
        if not self.covers(seconds) and not self.lost and self.renew:
            await self.renew()
        return self.covers(seconds)

    def covers(self, seconds: float) -> bool:
        return not self.misses and self.clock() + seconds <= self.ends

    def renewed(self, until: float) -> None:
        self.misses = 0
        self.ends = min(max(self.ends, until), self.deadline)


@dataclass(slots=True)
class Heart:
    """Renews every lease of this process together, at a third of their length, whatever the jobs are doing."""

    send: Beat
    lease_seconds: float
    clock: Clock = now
    on_loss: Callable[[Lease], None] = lambda _lease: None
    held: dict[UUID, Lease] = field(default_factory=dict)
    _urge: asyncio.Event = field(default_factory=asyncio.Event)
    _beaten: asyncio.Condition = field(default_factory=asyncio.Condition)

    def hold(self, token: UUID, since: float, seconds: float, deadline: float) -> Lease:
        """Note a lease of ``seconds`` that was asked for at ``since``."""
        lease = Lease(token, min(since + seconds, deadline), deadline, self.clock, self._renew_now)
        self.held[token] = lease
        return lease

    def release(self, lease: Lease) -> None:
        if self.held.get(lease.token) is lease:
            del self.held[lease.token]

    async def run(self) -> None:
        """Beat until cancelled; sooner when a job needs it."""
        pause = self.lease_seconds / 3
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._urge.wait()
            except TimeoutError:
                pass
            self._urge.clear()
            well = await self.beat() and not any(lease.misses == 1 for lease in self.held.values())
            pause = self.lease_seconds / (3 if well else 12)

    async def beat(self) -> bool:
        """Renew what is held, once. False if the database did not answer: the leases then run out by the clock."""
        asked = [lease for lease in self.held.values() if not lease.lost]
        before = self.clock()
        try:
            kept = await self.send([lease.token for lease in asked])
        except (Outage, Refusal) as error:
            telemetry.warning("heartbeat.failed", message=str(error), leases=len(asked))
            return False
        else:
            self._note(asked, kept, before)
            return True
        finally:
            async with self._beaten:
                self._beaten.notify_all()

    def _note(self, asked: Sequence[Lease], kept: set[UUID], before: float) -> None:
        for lease in asked:
            if lease.token in kept:
                lease.renewed(before + self.lease_seconds)
            elif self.held.get(lease.token) is lease:  # one that was settled meanwhile was not lost
                lease.misses += 1
                if lease.lost:
                    self.on_loss(lease)
                    telemetry.warning("lease.lost", token=str(lease.token))

    async def _renew_now(self) -> None:
        """Wait for the next beat, made at once, but not longer than a third of a lease."""
        self._urge.set()
        try:
            async with asyncio.timeout(self.lease_seconds / 3), self._beaten:
                await self._beaten.wait()
        except TimeoutError:
            return
