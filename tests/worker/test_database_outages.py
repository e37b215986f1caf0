"""A database that goes away: told as what it is, survived, and never waited for without end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.fix_bilag import Bilag
from tests.fix_hands import Opened
from tests.fix_postgres import Database as Installed
from worker.database import Outage

pytestmark = pytest.mark.anyio


async def test_a_statement_that_takes_too_long_is_an_outage_and_not_for_ever(bilag: Bilag, opened: Opened) -> None:
    worker = await opened(bilag.database.dsn)
    with pytest.raises(Outage, match="statement timeout"):
        await worker._call("select pg_sleep(%s)", (30,), within=0.2)
    await worker.work_left()


async def test_terminated_sessions_are_survived(bilag: Bilag, opened: Opened) -> None:
    worker = await opened(bilag.database.dsn)
    await asyncio.gather(*(worker.work_left() for _ in range(4)))
    bilag.database.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'bilag worker' and datname = current_database()"
    )
    outages = 0
    for _ in range(5):
        try:
            await worker.work_left()
        except Outage:
            outages += 1
    assert outages <= 1, "after the first failure no other dead connection is handed out"


FROZEN = """
import asyncio, os, signal, sys, uuid
import psycopg
from worker import database

database.str = str

async def freeze(cursor, query, *rest, **more):
    answered = await execute(cursor, query, *rest, **more)
    if "advisory" in query:
        os.kill(os.getpid(), signal.SIGSTOP)
    return answered

async def work():
    worker = database.Database(sys.argv[1], uuid.uuid4())
    try:
        await worker._call("select pg_advisory_xact_lock(7), %s::text", (getattr(database, sys.argv[2])("seven"),))
        print("done")
    except database.Outage as error:
        print(error)
    await worker.close()

database.UNLESS_FROZEN = database.UNLESS_FROZEN.replace("10s", "500ms")
execute, psycopg.AsyncCursor.execute = psycopg.AsyncCursor.execute, freeze
asyncio.run(work())
"""


@contextmanager
def frozen(dsn: str, sent_as: str) -> Iterator[subprocess.Popen[str]]:
    """A process that stands still when its statement was answered."""
    process = subprocess.Popen([sys.executable, "-c", FROZEN, dsn, sent_as], stdout=subprocess.PIPE, text=True)
    try:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        yield process
    finally:
        process.kill()
        process.wait()


def thaw(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGCONT)
    return process.communicate(timeout=60)[0]


async def test_a_worker_frozen_before_its_commit_keeps_nobody_waiting_and_learns_of_it(
    bilag: Bilag, opened: Opened
) -> None:
    with frozen(bilag.database.dsn, "Document") as sleeper:
        worker = await opened(bilag.database.dsn)
        await worker._call("select pg_advisory_xact_lock(%s)", (7,))
        assert "idle-in-transaction timeout" in await asyncio.to_thread(thaw, sleeper)


async def test_a_call_in_one_message_has_ended_when_it_is_answered(bilag: Bilag, opened: Opened) -> None:
    with frozen(bilag.database.dsn, "str") as sleeper:
        worker = await opened(bilag.database.dsn)
        assert await worker._call("select pg_try_advisory_xact_lock(%s)", (7,)) == [True]
        assert await asyncio.to_thread(thaw, sleeper) == "done\n"


async def test_a_restart_of_postgres_is_survived(restartable_database: Installed, opened: Opened) -> None:
    worker = await opened(restartable_database.dsn)
    restartable_database.server.stop("immediate")
    with pytest.raises(Outage):
        await worker.work_left()
    restartable_database.server.start()
    async with asyncio.timeout(20):
        while True:
            try:
                await worker.work_left()
                break
            except Outage:
                await asyncio.sleep(0.1)


async def test_what_keeps_the_database_away_is_said(opened: Opened) -> None:
    worker = await opened("postgresql://nobody@127.0.0.1:1/nowhere", greet=False)
    with pytest.raises(Outage, match="refused"):
        await worker.work_left()
