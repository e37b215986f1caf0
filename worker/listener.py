"""Wake-ups: LISTEN on a direct connection. They save the wait until the next poll and are otherwise not needed.

Such a connection dies silently, and behind a transaction pooler it is deaf from the beginning. So it calls itself once
a minute on a channel of its own; when the call does not come back the connection is made anew, ever more rarely.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from worker import telemetry
from worker.backoff import Backoff
from worker.database import WAKE_CHANNEL, conninfo

_CALL_SECONDS = 60.0
_ECHO_SECONDS = 5.0

SOON = "soon"
"""What the tick says when a scheduled run is near: nothing to claim yet, something to prepare."""

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


class Listener:
    """``wake`` is called for every notification, and once after each new connection, since some may be missed.

    ``soon`` is called instead when there will be work within the minute.
    """

    def __init__(self, dsn: str, worker_id: UUID, wake: Callable[[], None], soon: Callable[[], object] = int) -> None:
        self._conninfo = conninfo(dsn, "bilag worker (listening)", "BILAG_LISTEN_URL")
        self._own = f"bilag_echo_{worker_id.hex}"
        self._wake, self._soon = wake, soon
        self._backoff = Backoff(first=1.0, most=300.0)
        self.listening = False

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
                telemetry.info("listening.deaf", message="No echo on the LISTEN connection; polling goes on.")
            except psycopg.Error as error:
                telemetry.debug("listening.lost", message=str(error).partition("\n")[0])
            finally:
                self.listening = False
            await self._backoff.sleep()

    async def _listen(self) -> None:
        """Listen until the connection turns out to be deaf. Raises psycopg.Error when it breaks."""
        async with await psycopg.AsyncConnection.connect(
            self._conninfo, autocommit=True, prepare_threshold=None
        ) as connection:
            for channel in (WAKE_CHANNEL, self._own):
                await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
            self._wake()
            while await self._hears_itself(connection):
                self.listening = True
                self._backoff.reset()
                await self._hear(connection, _CALL_SECONDS)

    async def _hears_itself(self, connection: Connection) -> bool:
        try:
            async with asyncio.timeout(2 * _ECHO_SECONDS):
                await connection.execute("select pg_notify(%s, '')", (self._own,))
                return await self._hear(connection, _ECHO_SECONDS, until=self._own)
        except TimeoutError:
            return False

    async def _hear(self, connection: Connection, seconds: float, until: str | None = None) -> bool:
        """Pass wake-ups on for so long, or until one comes on a channel. True if it came."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        while (left := ends - loop.time()) > 0:
            async for note in connection.notifies(timeout=left, stop_after=1):
                if note.channel == WAKE_CHANNEL:
                    (self._soon if note.payload == SOON else self._wake)()
                    await asyncio.sleep(0)  # who was woken goes first
                elif note.channel == until:
                    return True
        return False
