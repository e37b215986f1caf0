"""What every fake accounting system is: an ASGI application on a line that can be made to fail, and a ledger.

A system fills in :meth:`Fake.operation` (what a request asks for, the name that faults and counters use),
:meth:`Fake.admit` (its real limits) and :meth:`Fake.execute`, which is synchronous, so that a request is executed whole
or not at all, whatever happens on the line.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from dev.fakes.dial import Dial
from dev.fakes.exchange import Answer, Exchange, Receive, Request, Scope, Send, read_request
from dev.fakes.ledger import Ledger

KEPT_REQUESTS = 500


class Clock:
    """The accounting system's own clock; real time unless a test sets it."""

    def __init__(self) -> None:
        self._set: datetime | None = None

    def now(self) -> datetime:
        return self._set or datetime.now(UTC)

    def set(self, moment: datetime | None) -> None:
        """Stop the clock at this moment; ``None`` lets it run again."""
        self._set = moment

    def advance(self, by: timedelta) -> None:
        self._set = self.now() + by


class Fake(Dial, ABC):
    """A fake accounting system."""

    key: ClassVar[str]
    """The adapter's key, and the path it is served under beside others."""
    path: ClassVar[str]
    """What follows the host in the URL that an adapter is given."""
    switches: ClassVar[tuple[str, ...]] = ("latency",)
    """Attributes that another process may set (``dev.fakes.control``)."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.ledger = Ledger(self.settle)
        self.url = ""
        self.in_flight = 0
        self.most_in_flight = 0
        """The most requests that were ever inside at once."""
        self.requests: deque[Request] = deque(maxlen=KEPT_REQUESTS)
        self._close_port: Callable[[bool], None] | None = None

    @abstractmethod
    def operation(self, request: Request) -> str:
        """What a request asks for; several things are joined by ``+``, and a fault may wait for any of them."""

    @abstractmethod
    def execute(self, request: Request) -> Answer: ...

    def admit(self, request: Request) -> Answer | None:
        """The refusal of a request that is over the system's limits, before it is executed."""
        return None

    def settle(self) -> None:
        """Do what the system does by itself in the meantime, such as an import job that is due."""

    def counts(self) -> Mapping[str, int]:
        """What the system holds besides its ledger, such as rows that wait to be imported."""
        return {}

    def facts(self) -> Mapping[str, str]:
        """What a client must know besides the URL, such as where tokens are given."""
        return {}

    @abstractmethod
    def add_tenant(self, token: str, name: str = "Frivillig Norge", code: str | None = None) -> str:
        """A legal entity of its own, reached by this token; returns its code."""

    def verbs(self) -> Mapping[str, Callable[..., Any]]:
        """What another process may ask for by name: the faults, and the accountant's hands."""
        names = [name for name in vars(Dial) if not name.startswith("_") and name != "take"]
        return {name: getattr(self, name) for name in names}

    def down(self, *, refuse: bool = False) -> None:
        """Reset every request until :meth:`up`; with ``refuse`` its port is closed too, where it is alone on it."""
        super().down()
        if refuse and self._close_port is not None:
            self._standing[-1].used = 1  # nobody hears a refused connection, so it cannot be counted
            self._close_port(True)

    def up(self) -> None:
        super().up()
        if self._close_port is not None:
            self._close_port(False)

    def _execute_alone(self, request: Request) -> Answer:
        with self.ledger.lock:
            return self.execute(request)

    def on_port(self, close: Callable[[bool], None] | None) -> None:
        """Tell the fake how to close (true) and reopen (false) its own port."""
        self._close_port = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = await read_request(scope, receive)
        if request is None:
            return
        request = replace(request, operation=self.operation(request))
        self.requests.append(request)
        self.calls[request.operation] += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self._play(request, Exchange(request, scope, receive, send, self._execute_alone))
        finally:
            self.in_flight -= 1

    async def _play(self, request: Request, exchange: Exchange) -> None:
        began = time.monotonic()
        refused = self.admit(request)
        if refused is not None:
            await exchange.reply(refused)
            return
        fault = self.take(request.operation)
        with contextlib.suppress(asyncio.CancelledError):  # the server is being stopped
            if fault is not None:
                await asyncio.sleep(self.latency)
                await fault.play(exchange)
            else:
                answer = exchange.commit()
                await asyncio.sleep(began + self.latency - time.monotonic())
                await exchange.reply(answer)
