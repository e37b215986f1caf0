"""A cable between a worker and Postgres, in our hands: cut at any time, also right after a COMMIT was carried out."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from psycopg.conninfo import conninfo_to_dict, make_conninfo

T = TypeVar("T")
_COMMITTED = re.compile(rb"(?:COMMIT|SELECT \d+)\x00Z\x00\x00\x00\x05I")
"""How the server ends a transaction: what was done last, and that it is ready and in none (it says T while in one)."""
_PIECE = 65536


class _Line:
    """One session through the proxy. ``verb`` is the last function that the worker called on it."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.near, self.far = near, far
        self.said = b""

    def cut(self) -> None:
        for end in (self.near, self.far):
            end.transport.abort()


class Proxy:
    """Listens on a port of its own and carries everything to the server, until it is told to cut.

    ``cuts`` counts the sessions that were cut.
    """

    def __init__(self, dsn: str) -> None:
        given = conninfo_to_dict(dsn)
        self._far = (str(given["host"]), int(str(given["port"])))
        self._given = given
        self._lines: set[_Line] = set()
        self._doomed: list[bytes] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._server: asyncio.Server
        self.cuts = 0
        self.port = 0

    @property
    def dsn(self) -> str:
        """The database, reached through this proxy."""
        return make_conninfo("", **{**self._given, "host": "127.0.0.1", "port": self.port})

    def cut(self) -> int:
        """Cut every session now; how many there were."""
        return self._run(self._cut_all())

    def cut_after_commit_of(self, verb: str) -> None:
        """When a transaction with this function next commits: let it, and cut before the worker hears of it."""
        self._doomed.append(f"bilag_internal.{verb}(".encode())

    @property
    def still_doomed(self) -> int:
        """How many ordered cuts have not happened yet."""
        return len(self._doomed)

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = self._run(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _end(self) -> None:
        """Nothing may be left under way when the loop goes."""
        self._server.close()
        for line in list(self._lines):
            line.cut()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _cut_all(self) -> int:
        lines = list(self._lines)
        for line in lines:
            line.cut()
        self.cuts += len(lines)
        return len(lines)

    async def _carry(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        try:
            answers, far = await asyncio.open_connection(*self._far)
        except OSError:
            near.transport.abort()
            return
        line = _Line(near, far)
        self._lines.add(line)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._there(line, reader))
                group.create_task(self._back(line, answers))
        except* OSError:
            pass
        finally:
            self._lines.discard(line)
            line.cut()

    async def _there(self, line: _Line, reader: asyncio.StreamReader) -> None:
        while piece := await reader.read(_PIECE):
            line.said = (line.said + piece)[-_PIECE:]
            line.far.write(piece)
            await line.far.drain()
        with contextlib.suppress(OSError, RuntimeError):
            line.far.write_eof()

    async def _back(self, line: _Line, answers: asyncio.StreamReader) -> None:
        tail = b""
        while piece := await answers.read(_PIECE):
            committed = _COMMITTED.search(tail + piece)
            if committed and self._is_doomed(line):
                line.cut()
                self.cuts += 1
                return
            tail = b"" if committed else piece[-32:]  # the end of a transaction may come in two pieces
            line.near.write(piece)
            await line.near.drain()
        line.near.close()

    def _is_doomed(self, line: _Line) -> bool:
        """Whether the transaction that the server just committed is one whose end nobody shall hear of."""
        said, line.said = line.said, b""
        for verb in self._doomed:
            if verb in said:
                self._doomed.remove(verb)
                return True
        return False
