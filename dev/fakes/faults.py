"""What can go wrong between a client and an accounting system: each fault once, as a short play.

A play gets the :class:`~dev.fakes.exchange.Exchange` and says whether the request is executed (``commit``) and what
its client sees. :mod:`dev.fakes.dial` scripts them.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from dev.fakes.exchange import Answer, Exchange

Play = Callable[[Exchange], Awaitable[None]]
MAINTENANCE_PAGE = (
    "<!DOCTYPE html><html><head><title>Maintenance</title></head>"
    "<body><h1>We will be back soon</h1><p>The system is being upgraded.</p></body></html>"
)


@dataclass(slots=True)
class Fault:
    """A scripted fault: its play, how often, on which operation, and after how many requests let through.

    ``times`` of ``None`` means until it is switched off.
    """

    name: str
    play: Play
    times: int | None = 1
    on: str | None = None
    skip: int = 0
    used: int = 0
    over: bool = False

    @property
    def is_live(self) -> bool:
        return not self.over and (self.times is None or self.used < self.times)

    @property
    def is_owed(self) -> bool:
        """Whether it was scripted and has not happened as often as it should have."""
        return self.used < (1 if self.times is None else self.times)

    def __str__(self) -> str:
        where = f" on {self.on}" if self.on else ""
        return f"{self.name}{where}: used {self.used} of {self.times or 'any number of'} times"


class Hold:
    """A request held inside the accounting system, executed only once it is released."""

    def __init__(self) -> None:
        self._gate: Future[bool] = Future()
        self.arrived = threading.Event()
        self.committed = threading.Event()

    def release(self) -> None:
        """Let the accounting system execute the request now, whether its client still waits or not."""
        if not self._gate.done():
            self._gate.set_result(True)

    def drop(self) -> None:
        """Let it be forgotten: it is never executed."""
        if not self._gate.done():
            self._gate.set_result(False)

    async def until_arrived(self, seconds: float = 10) -> None:
        """Wait until the request is inside. Raises ``TimeoutError`` when none came."""
        await self._wait(self.arrived, seconds)

    async def until_committed(self, seconds: float = 10) -> None:
        """Wait until the request has been executed. Raises ``TimeoutError`` when it was not."""
        await self._wait(self.committed, seconds)

    async def play(self, exchange: Exchange) -> None:
        self.arrived.set()
        if not await asyncio.wrap_future(self._gate):
            await exchange.hang()
            return
        answer = exchange.commit()
        self.committed.set()
        await exchange.reply(answer)

    @staticmethod
    async def _wait(event: threading.Event, seconds: float) -> None:
        if not await asyncio.to_thread(event.wait, seconds):
            raise TimeoutError("the held request did not get there in time")


def answering(answer: Answer) -> Play:
    """Answer without executing."""

    async def play(exchange: Exchange) -> None:
        await exchange.reply(answer)

    return play


def answering_after_commit(answer: Answer) -> Play:
    """Execute, then answer something else: a gateway that lost patience."""

    async def play(exchange: Exchange) -> None:
        exchange.commit()
        await exchange.reply(answer)

    return play


async def hang(exchange: Exchange) -> None:
    await exchange.hang()


async def cut(exchange: Exchange) -> None:
    exchange.cut()


async def commit_then_hang(exchange: Exchange) -> None:
    exchange.commit()
    await exchange.hang()


async def commit_then_cut(exchange: Exchange) -> None:
    exchange.commit()
    exchange.cut()


def committing_after(seconds: float) -> Play:
    """Execute only after so many seconds, whether the client still waits or not."""

    async def play(exchange: Exchange) -> None:
        await asyncio.sleep(seconds)
        await exchange.reply(exchange.commit())

    return play


async def truncate(exchange: Exchange) -> None:
    """Execute, then answer with half of the JSON, as if that were all of it."""
    answer = exchange.commit()
    await exchange.reply(answer.with_body(answer.body[: len(answer.body) // 2]))


async def truncate_and_cut(exchange: Exchange) -> None:
    """Execute, then cut the cable in the middle of the body."""
    await exchange.reply_half(exchange.commit())


def flooding(megabytes: float) -> Play:
    """Execute, then answer with the right JSON behind megabytes of white space."""

    async def play(exchange: Exchange) -> None:
        answer = exchange.commit()
        status = 200 if answer.status == 204 else answer.status  # a 204 has no body to flood
        flood = b" " * int(megabytes * 1_000_000)
        await exchange.reply(Answer(status, flood + answer.body, answer.headers))

    return play


def dripping(seconds: float, pieces: int) -> Play:
    """Execute, then send the answer piece by piece."""

    async def play(exchange: Exchange) -> None:
        await exchange.drip(exchange.commit(), seconds=seconds, pieces=pieces)

    return play


def reshaping(reshape: Callable[[list[Any]], list[Any]]) -> Play:
    """Execute, then answer with every list in the JSON reshaped (doubled, reversed)."""

    async def play(exchange: Exchange) -> None:
        answer = exchange.commit()
        body = json.dumps(_reshaped(json.loads(answer.body), reshape)).encode()
        await exchange.reply(answer.with_body(body))

    return play


def _reshaped(value: Any, reshape: Callable[[list[Any]], list[Any]]) -> Any:
    if isinstance(value, dict):
        return {key: _reshaped(inner, reshape) for key, inner in value.items()}
    return reshape(value) if isinstance(value, list) else value


def echoing(status: int) -> Play:
    """Answer with an error that repeats the Authorization header, without executing: a leak test."""

    async def play(exchange: Exchange) -> None:
        header = exchange.request.headers.get("authorization")
        message = f"Rejected. Your request had the header Authorization: {header}"
        await exchange.reply(Answer.of_json(status, {"errors": [{"message": message}]}))

    return play
