"""Runs fakes over real HTTP: in a thread for tests, and as a process for everything else.

A real socket is the point: a timeout, a reset and a refused connection are then what a client meets in the field.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from dev.fakes.control import control_routes
from dev.fakes.exchange import Cable
from dev.fakes.fake import Fake

F = TypeVar("F", bound=Fake)
START_SECONDS = 10.0


def application(fakes: Sequence[Fake]) -> Starlette:
    """All fakes under their keys (``/xledger/graphql``), and the control API under ``/control``."""
    mounts = [Mount(f"/{fake.key}", app=fake) for fake in fakes]
    return Starlette(routes=[*control_routes({fake.key: fake for fake in fakes}), *mounts])


def configure(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Cable,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        timeout_keep_alive=120,
        server_header=False,
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. TCP by name, or asyncio leaves Nagle's 40 ms in every answer."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.listen(2048)
    return sock


class ServerThread:
    """One uvicorn in a thread of its own, with an event loop of its own."""

    def __init__(self, app: Any, host: str = "127.0.0.1") -> None:
        self._server = uvicorn.Server(configure(app))
        self._sock = listen(host, 0)
        self.host, self.port = host, int(self._sock.getsockname()[1])
        self._loop = asyncio.new_event_loop()
        self._started, self._over = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=f"fake:{self.port}", daemon=True)

    def start(self) -> None:
        """Returns once the server answers. Raises ``TimeoutError`` when it does not start."""
        self._thread.start()
        if not self._started.wait(START_SECONDS):
            raise TimeoutError("the fake's server did not start")

    def stop(self) -> None:
        """Stop at once: requests that hang are abandoned."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(START_SECONDS)

    def close_port(self, closed: bool) -> None:
        """Refuse new connections, or take them again on the same port."""
        change = self._refuse() if closed else self._accept()
        asyncio.run_coroutine_threadsafe(change, self._loop).result(START_SECONDS)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        """What ``Server.serve`` does, less its tenth of a second at either end: hundreds of tests start one."""
        self._server.config.load()
        self._server.lifespan = self._server.config.lifespan_class(self._server.config)
        await self._server.startup(sockets=[self._sock])
        self._started.set()
        await self._over.wait()
        await self._refuse()

    async def _refuse(self) -> None:
        for server in self._server.servers:
            server.close()
        self._server.servers.clear()
        for connection in list(self._server.server_state.connections):
            if isinstance(connection, Cable):
                connection.transport.abort()

    async def _accept(self) -> None:
        if self._server.servers:
            return
        self._sock = listen(self.host, self.port)
        self._server.servers.append(await self._loop.create_server(self._protocol, sock=self._sock))

    def _protocol(self) -> asyncio.Protocol:
        return Cable(config=self._server.config, server_state=self._server.server_state, app_state={})


@contextmanager
def serving(fake: F) -> Iterator[F]:
    """Serve one fake alone on a free port; ``fake.url`` is what an adapter is given as its URL."""
    server = ServerThread(fake)
    server.start()
    fake.url = f"http://{server.host}:{server.port}{fake.path}"
    fake.on_port(server.close_port)
    try:
        yield fake
    finally:
        fake.on_port(None)
        server.stop()


def serve_forever(fakes: Sequence[Fake], host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve all fakes and the control API in this thread until it is told to stop (SIGTERM, SIGINT)."""
    sock = listen(host, port)
    base = f"http://{host}:{sock.getsockname()[1]}"
    for fake in fakes:
        fake.url = f"{base}/{fake.key}{fake.path}"
    config = configure(application(fakes))
    config.timeout_graceful_shutdown = 1
    announce(base)
    asyncio.run(uvicorn.Server(config).serve(sockets=[sock]))
