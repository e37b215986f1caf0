"""The worker's few connections. A call goes where it went before, and else to the one that was used last.

The server compiles and plans what a session calls for the first time, which takes ten times as long as the call itself
(a claim: 26 to 76 ms). So a worker with little to do keeps one session warm; taking turns would keep several cold.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from worker.connecting import CONNECT_SECONDS, Outage

LIFETIME_SECONDS = 3600.0
"""What a session has gathered by then is given back to the server."""

SPARE_SECONDS = 600.0
"""How long a session may wait at the bottom of the pile before it is closed."""


class Session(psycopg.AsyncConnection[tuple[Any, ...]]):
    """A connection that remembers when it was made, when it was used last, and what for."""

    made_at = used_at = 0.0

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.warm_for: set[str] = set()


class Sessions:
    """At most ``most`` at a time, each made when it is needed and lent to one call at a time."""

    def __init__(self, conninfo: str, most: int) -> None:
        self._conninfo = conninfo
        self._places = asyncio.Semaphore(most)
        self._idle: list[Session] = []
        self._distrusted_at = 0.0
        self._closed = False

    @asynccontextmanager
    async def one(self, statement: str) -> AsyncIterator[Session]:
        """A session to send this in the block. Outage: all are busy, or closed; psycopg.Error: none can be made."""
        if self._closed:
            raise Outage("the connections were closed")
        await self._await_place()
        try:
            session = self._pick(statement) or await self._connect()
            try:
                yield session
                session.warm_for.add(statement)
            finally:
                await self._put_back(session)
        finally:
            self._places.release()

    async def distrust(self) -> None:
        """One turned out to be dead: the others that there are may be dead as well, and are not handed out again."""
        self._distrusted_at = monotonic()
        await self._close_idle()

    async def close(self) -> None:
        """Close what is idle now, and what is in use when it comes back."""
        self._closed = True
        await self._close_idle()

    async def _await_place(self) -> None:
        if not self._places.locked():
            await self._places.acquire()
            return
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._places.acquire()
        except TimeoutError:
            raise Outage(f"all connections were busy for {CONNECT_SECONDS} s") from None

    def _pick(self, statement: str) -> Session | None:
        warm = (place for place in reversed(range(len(self._idle))) if statement in self._idle[place].warm_for)
        return self._idle.pop(next(warm, -1)) if self._idle else None

    async def _connect(self) -> Session:
        began = monotonic()
        session = await Session.connect(self._conninfo, autocommit=True, prepare_threshold=None)
        session.made_at = began
        return session

    async def _put_back(self, session: Session) -> None:
        session.used_at = moment = monotonic()
        if self._is_sound(session, moment):
            self._idle.append(session)
        else:
            await session.close()
        if self._idle[0:1] and moment - self._idle[0].used_at > SPARE_SECONDS:
            await self._idle.pop(0).close()

    def _is_sound(self, session: Session, moment: float) -> bool:
        """Whether it may be handed out again. What broke off in the middle of something may not."""
        return (
            not self._closed
            and session.pgconn.transaction_status == TransactionStatus.IDLE
            and session.made_at > self._distrusted_at
            and moment - session.made_at < LIFETIME_SECONDS
        )

    async def _close_idle(self) -> None:
        while self._idle:
            await self._idle.pop().close()
