"""Wake-ups arrive, and a connection that does not hear is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from tests.fix_bilag import Bilag
from worker import listener as module
from worker.listener import Listener

pytestmark = pytest.mark.anyio

LISTENING = "select count(*) from pg_stat_activity where application_name = 'bilag worker (listening)'"


class Bell:
    def __init__(self) -> None:
        self.rung = asyncio.Event()

    def __call__(self) -> None:
        self.rung.set()

    async def rings(self, within: float = 5) -> bool:
        try:
            async with asyncio.timeout(within):
                await self.rung.wait()
        except TimeoutError:
            return False
        self.rung.clear()
        return True


@asynccontextmanager
async def listening(dsn: str) -> AsyncIterator[tuple[Listener, Bell]]:
    bell = Bell()
    listener = Listener(dsn, uuid4(), bell)
    task = asyncio.create_task(listener.run())
    try:
        assert await bell.rings(), "what came before it listened may have been missed"
        async with asyncio.timeout(5):
            while not listener.listening:  # noqa: ASYNC110 - a real connection, whose state is a flag
                await asyncio.sleep(0.01)
        yield listener, bell
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_requested_export_wakes_the_worker(bilag: Bilag) -> None:
    org = bilag.organisation()
    org.claim("C-1")
    async with listening(bilag.database.dsn) as (_listener, bell):
        org.request()
        assert await bell.rings()


async def test_another_workers_echo_wakes_nobody(bilag: Bilag) -> None:
    async with listening(bilag.database.dsn) as (_listener, bell):
        bilag.database.sql("select pg_notify('bilag_echo_of_somebody_else', '')")
        assert not await bell.rings(within=0.3)


async def test_a_cut_connection_is_made_anew_and_wakes_once_for_what_was_missed(
    bilag: Bilag, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listening(bilag.database.dsn) as (listener, bell):
        listener._backoff.first = 0.05
        bilag.database.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'bilag worker (listening)' and datname = current_database()"
        )
        assert await bell.rings()


async def test_a_connection_that_does_not_hear_itself_is_given_up(
    bilag: Bilag, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ECHO_SECONDS", 0.2)
    monkeypatch.setattr(module, "_CALL_SECONDS", 0.1)
    async with listening(bilag.database.dsn) as (listener, bell):
        listener._own = "bilag_echo_behind_a_pooler"  # what a pooler does: the session that hears is another one
        listener._backoff.first = 0.05
        assert await bell.rings()
        assert not listener.listening
