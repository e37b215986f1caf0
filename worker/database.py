"""Every statement that the worker sends, on one page, and how they are sent.

Each call is one short transaction, as the role ``bilag_worker``. What holds ids and numbers alone goes as one message
of the simple protocol: its statements are one transaction, none is executed after one that failed, and the database
waits for this process at no point of it, unless to be rid of an answer of many megabytes. What holds documents
(reports, attempts) goes with bound parameters, so that no error writes them into the server's log; that takes three
messages.

Nothing here needs session state, so a transaction pooler works: no prepared statements, ``set local`` only, and no
message before the last one was answered. Two kinds of errors come out: an :class:`Outage` passes and the call may be
tried again, a :class:`Refusal` is the database's answer and does not.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from worker.connecting import Outage, Refusal, conninfo, first_line, refusal
from worker.redaction import scrub_value
from worker.sessions import Session, Sessions

__all__ = ["Database", "Job", "Outage", "Refusal", "conninfo", "refusal"]

WORKER_ROLE = "bilag_worker"
WAKE_CHANNEL = "bilag_wake"

HELLO = """select bilag_internal.hello(%s::uuid, %s::text, %s::int, %s::text, %s::int, %s::text)"""
CLAIM = """select job from bilag_internal.claim_exports(%s::uuid, %s::int, %s::int, %s::int) as job"""
CLAIM_HEALTH_CHECKS = """select round from bilag_internal.claim_health_checks(%s::uuid, %s::int, %s::int) as round"""
SETTLE_HEALTH_CHECKS = """select later from bilag_internal.settle_health_checks(%s::uuid, %s::jsonb) as later"""
SETTLE = """select job from bilag_internal.settle_exports(%s::uuid, %s::jsonb) as job"""
BEAT = """select token from bilag_internal.beat(%s::uuid, %s::uuid[], %s::int, %s::int) as token"""
LOG_ATTEMPTS = """select bilag_internal.log_attempts(%s::jsonb)"""
READ_CREDENTIAL = """select bilag_internal.read_credential(%s::uuid, %s::uuid)"""
DUE_SOON = """select integration from bilag_internal.due_soon(%s) as integration"""
FELL_BACK = """select bilag_internal.fell_back(%s::uuid)"""
TAKE_WEBHOOKS = """select event from bilag_internal.take_webhooks(%s::uuid, %s::int, %s::int) as event"""
SETTLE_WEBHOOKS = """select bilag_internal.settle_webhooks(%s::uuid, %s::jsonb)"""
TICK = """select bilag_internal.tick()"""
WORK_LEFT = """select bilag_internal.work_left(%s::text[])"""
ACT_AS_LOGIN = "set local statement_timeout = {milliseconds:.0f}"
ACT_AS_WORKER = f"{ACT_AS_LOGIN}; set local role bilag_worker"
UNLESS_FROZEN = "set local idle_in_transaction_session_timeout = '10s'"
"""How long a worker that was frozen between a statement and its commit may keep others from what it locked."""

_STATEMENT_SECONDS = 15.0
_SPARE_SECONDS = 5.0
_CONNECTION_GONE = ("08", "57", "25P03")
Job = dict[str, Any]
Values = Sequence[Any]
Cursor = psycopg.AsyncCursor[tuple[Any, ...]]


class Document(str):
    """JSON that nobody else shall read: it is bound as a parameter, and never part of a statement's text."""

    __slots__ = ()


class Database:
    """The worker's connections. One per process."""

    def __init__(self, dsn: str, worker_id: UUID, *, connections: int = 4) -> None:
        self.worker_id = worker_id
        self._sessions = Sessions(conninfo(dsn, "bilag worker"), connections)
        self._act = ACT_AS_LOGIN if conninfo_to_dict(dsn).get("user") == WORKER_ROLE else ACT_AS_WORKER

    async def close(self) -> None:
        await self._sessions.close()

    async def hello(self, host: str, pid: int, version: str, contract: int, environment: str) -> Mapping[str, Any]:
        """Introduce this worker. Refusal KB010: another contract; KB011: another environment."""
        rows = await self._call(HELLO, (self.worker_id, host, pid, version, contract, environment))
        return rows[0] or {}

    async def claim(self, slots: int, lease_seconds: int, delivery_seconds: int) -> list[Job]:
        """Take, start and mark at most ``slots`` jobs."""
        return await self._call(CLAIM, (self.worker_id, slots, lease_seconds, delivery_seconds))

    async def settle(self, reports: Sequence[Mapping[str, Any]]) -> list[Job]:
        """Report what became of jobs; the answer is what the same lanes have next. May be repeated safely."""
        return await self._call(SETTLE, (self.worker_id, _jsonb(reports)))

    async def claim_health_checks(self, slots: int, lease_seconds: int) -> list[Job]:
        """Lease the rounds of at most ``slots`` organisations."""
        return await self._call(CLAIM_HEALTH_CHECKS, (self.worker_id, slots, lease_seconds))

    async def settle_health_checks(self, reports: Sequence[Mapping[str, Any]]) -> list[Job]:
        """Report rounds; the answer is what is to be told again. May be repeated safely."""
        return await self._call(SETTLE_HEALTH_CHECKS, (self.worker_id, _jsonb(reports)))

    async def beat(self, tokens: Sequence[UUID], lease_seconds: int, running: int, within: float) -> set[UUID]:
        """Renew leases. The answer is the tokens that are still ours."""
        rows = await self._call(BEAT, (self.worker_id, list(tokens), lease_seconds, running), within)
        return set(rows)

    async def log_attempts(self, rows: Sequence[Mapping[str, Any]]) -> None:
        await self._call(LOG_ATTEMPTS, (_jsonb(rows),))

    async def read_credential(self, integration_id: UUID, lease_token: UUID) -> Mapping[str, Any] | None:
        """The secret of one integration, for a live lease, or before a scheduled run by this worker's own id.

        Refusal KB020: there is no such lease, and no such run is near.
        """
        rows = await self._call(READ_CREDENTIAL, (integration_id, lease_token))
        found: Mapping[str, Any] | None = rows[0] if rows else None
        return found

    async def due_soon(self) -> list[Job]:
        """The integrations that scheduled runs will call within the minute or so, of each system the first 50."""
        return await self._call(DUE_SOON, (self.worker_id,))

    async def fell_back(self, integration_id: UUID) -> None:
        """Say that a credential was read from the environment: an alert opens."""
        await self._call(FELL_BACK, (integration_id,))

    async def take_webhooks(self, slots: int, lease_seconds: int) -> list[Job]:
        """Events to deliver: each a URL, a body and its signed headers."""
        return await self._call(TAKE_WEBHOOKS, (self.worker_id, slots, lease_seconds))

    async def settle_webhooks(self, reports: Sequence[Mapping[str, Any]]) -> None:
        await self._call(SETTLE_WEBHOOKS, (self.worker_id, _jsonb(reports)))

    async def tick(self) -> Any:
        """What pg_cron does every minute; idempotent."""
        return await self._call(TICK, (), 60)

    async def work_left(self, queues: Sequence[str] = ("exports",)) -> Mapping[str, Any]:
        """What is due and what is in flight, anywhere, of these queues."""
        rows = await self._call(WORK_LEFT, (list(queues),))
        return rows[0] or {}

    async def _call(self, statement: str, values: Values, within: float = _STATEMENT_SECONDS) -> list[Any]:
        """Send one statement in a transaction of its own; the first column of every row."""
        send = _bound if any(isinstance(value, Document) for value in values) else _in_one_message
        async with self._session(statement, within) as session:
            cursor = await send(session, self._act.format(milliseconds=within * 1000), statement, values)
            return [row[0] for row in await cursor.fetchall()]

    @asynccontextmanager
    async def _session(self, statement: str, within: float) -> AsyncIterator[Session]:
        """A session for one call, and what goes wrong in it told as one of our two errors."""
        try:
            async with asyncio.timeout(within + _SPARE_SECONDS), self._sessions.one(statement) as session:
                yield session
        except TimeoutError:
            raise Outage(f"no answer within {within + _SPARE_SECONDS:g} s") from None
        except (psycopg.OperationalError, psycopg.InterfaceError, errors.IdleInTransactionSessionTimeout) as error:
            if error.sqlstate is None or error.sqlstate.startswith(_CONNECTION_GONE):
                await self._sessions.distrust()  # its neighbours are not to be trusted either
            raise Outage(first_line(error)) from error
        except psycopg.Error as error:
            raise refusal(error) from error


async def _in_one_message(session: Session, act: str, statement: str, values: Values) -> Cursor:
    cursor = psycopg.AsyncClientCursor(session)
    await cursor.execute(f"{act}; {statement}", values)
    while cursor.nextset():
        pass
    return cursor


async def _bound(session: Session, act: str, statement: str, values: Values) -> Cursor:
    try:
        await session.execute(f"begin; {act}; {UNLESS_FROZEN}")
        cursor = await session.execute(statement, values)
        await session.commit()
    except psycopg.Error:
        if session.info.transaction_status == TransactionStatus.INERROR:
            await session.rollback()
        raise
    return cursor


def _jsonb(value: Any) -> Document:
    """JSON that jsonb takes. What it refuses can only be in escapes, and those are rare: look before scrubbing."""
    text = json.dumps(value, default=str)
    if "\\u0000" in text or "\\ud" in text:
        text = json.dumps(scrub_value(value), default=str)
    return Document(text)
