"""Faults that only Business Central has (A6, A7, A8)."""

from __future__ import annotations

import json
from abc import ABC

from dev.fakes import faults
from dev.fakes.dynamics365.errors import BcError
from dev.fakes.exchange import Answer, Exchange
from dev.fakes.fake import Fake

DEADLOCK = (
    "The operation could not complete because a record in the table was locked by another user. Your activity was"
    " deadlocked with another user. Please retry the activity."
)


class Dynamics365Dial(Fake, ABC):
    """The dial of a fake Business Central."""

    def refuse_next(
        self,
        code: str,
        message: str = "Rejected",
        *,
        status: int = 400,
        commit: bool = False,
        times: int | None = 1,
        on: str | None = None,
        skip: int = 0,
    ) -> None:
        """An error in Business Central's own shape; ``commit`` executes the request all the same."""
        body = BcError(status, code, message).body()
        self.answer_next(status, body, commit=commit, times=times, on=on, skip=skip)

    def throttle_next(self, times: int | None = 1, *, on: str | None = None, skip: int = 0) -> None:
        """429 as Business Central says it: without Retry-After."""
        message = "Too many requests reached. Actual (101). Maximum (100)."
        self.refuse_next("Application_TooManyRequests", message, status=429, times=times, on=on, skip=skip)

    def deadlock_next(self, times: int | None = 1, *, status: int = 409, on: str | None = None, skip: int = 0) -> None:
        """An SQL deadlock: 409 Internal_ServerError, or 400 Application_DialogException [3P]. Nothing is executed."""
        code = "Internal_ServerError" if status == 409 else "Application_DialogException"
        self.refuse_next(code, DEADLOCK, status=status, times=times, on=on, skip=skip)

    def cancel_next(
        self, times: int | None = 1, *, committed: bool = False, on: str | None = None, skip: int = 0
    ) -> None:
        """408 after eight minutes: the session is cancelled, perhaps after application code had ``committed``."""
        message = "The operation was canceled because it exceeded the operation timeout."
        self.refuse_next("Unknown", message, status=408, commit=committed, times=times, on=on, skip=skip)

    def queue_timeout_next(self, times: int | None = 1, *, on: str | None = None, skip: int = 0) -> None:
        """503 with Retry-After: the request waited eight minutes in the queue, and was not executed."""
        self.fail_next(503, times, after=60, on=on, skip=skip)

    def short_batch_next(
        self, keep: int = 1, times: int | None = 1, *, on: str | None = "$batch", skip: int = 0
    ) -> None:
        """A batch is executed, and its answer has only so many responses."""

        async def play(exchange: Exchange) -> None:
            answer = exchange.commit()
            body = json.loads(answer.body)
            body["responses"] = body.get("responses", [])[:keep]
            await exchange.reply(answer.with_body(json.dumps(body).encode()))

        self._add(f"short_batch_next({keep})", play, times, on, skip)

    def nameless_batch_next(self, times: int | None = 1, *, on: str | None = "$batch", skip: int = 0) -> None:
        """A batch is executed, and every response's id is null."""

        async def play(exchange: Exchange) -> None:
            answer = exchange.commit()
            body = json.loads(answer.body)
            body["responses"] = [{**one, "id": None} for one in body.get("responses", [])]
            await exchange.reply(answer.with_body(json.dumps(body).encode()))

        self._add("nameless_batch_next", play, times, on, skip)

    def throttle_storm(self, times: int = 30, *, on: str | None = None) -> None:
        """429, 503 with Retry-After and 504 in turn, none of them executed."""
        for turn in range(times):
            if turn % 3 == 0:
                self.throttle_next(on=on)
            elif turn % 3 == 1:
                self.queue_timeout_next(on=on)
            else:
                page = Answer.of_html(504, "<html><body><h1>504 Gateway Time-out</h1></body></html>")
                self._add("throttle_storm(504)", faults.answering(page), 1, on, 0)
