"""Calls for the tests of with_retry: they fail as they are told to, in virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from worker.errors import AdapterError, BilagError
from worker.faults import Fault, failure
from worker.retry import RetryOptions


class Script:
    """A call that fails as it is told to, and then succeeds; it notes when it was tried."""

    def __init__(self, *failures: Exception | None) -> None:
        self.failures = list(failures)
        self.tried_at: list[float] = []

    async def __call__(self) -> str:
        self.tried_at.append(asyncio.get_running_loop().time())
        error = self.failures.pop(0) if self.failures else None
        if error is not None:
            raise error
        return "done"

    @property
    def waits(self) -> list[float]:
        return [round(later - earlier, 6) for earlier, later in zip(self.tried_at, self.tried_at[1:], strict=False)]


def options(**changes: Any) -> RetryOptions:
    """No jitter, and the clock of the virtual loop."""
    return replace(RetryOptions(jitter=0, clock=lambda: asyncio.get_running_loop().time()), **changes)


def read(key: int | Fault, **facts: Any) -> AdapterError:
    return failure(key, "no", writes=False, **facts)


def write(key: int | Fault, **facts: Any) -> AdapterError:
    return failure(key, "no", writes=True, **facts)


class Hang:
    def __init__(self) -> None:
        self.tries = 0

    async def __call__(self) -> None:
        self.tries += 1
        await asyncio.sleep(3600)


class Proof:
    """A look-up with one answer, or one way to fail."""

    def __init__(self, answer: bool | Exception, seconds: float = 0) -> None:
        self.answer, self.seconds = answer, seconds
        self.errors: list[BilagError] = []

    async def __call__(self, error: BilagError) -> bool:
        self.errors.append(error)
        await asyncio.sleep(self.seconds)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer
