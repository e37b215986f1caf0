"""Retries inside one invocation of an adapter (requirements E1 to E4 and E10). Knows no adapter and no database.

A try that failed goes again when its error is not permanent and either says that nothing was executed, or the caller
proves that nothing was (``prove_absent``). The waits of an invocation are drawn once, when it starts; a wait that the
other side asked for replaces a shorter one. Everything fits in the budget: a try that could not have its whole
timeout is not begun.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from worker.errors import BilagError, Executed, Timeout, describe

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryOptions:
    """The constants of an invocation. Durations are in seconds; tests inject the last three.

    ``timeout`` is that of one try; ``None`` leaves timing to a function that times its own requests.
    """

    base_delay: float = 1.0
    factor: float = 2.0
    retries: int = 3
    jitter: float = 0.2
    timeout: float | None = 10.0
    budget: float = 60.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    random: Callable[[], float] = random.random

    def slots(self) -> tuple[float, ...]:
        """The waits before the first, second, … retry, each with its jitter. Draws anew at every call."""
        spread = (1 + self.jitter * (2 * self.random() - 1) for _ in range(self.retries))
        return tuple(self.base_delay * self.factor**slot * factor for slot, factor in enumerate(spread))


DEFAULT = RetryOptions()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try that has ended. ``number`` counts from 1; on success it is the total. ``duration`` is in seconds."""

    number: int
    error: BilagError | None
    duration: float


async def with_retry(
    fn: Callable[[], Awaitable[T]],
    options: RetryOptions = DEFAULT,
    *,
    writes: bool = False,
    on_attempt: Callable[[Attempt], None] | None = None,
    prove_absent: Callable[[BilagError], Awaitable[bool]] | None = None,
) -> T:
    """Call ``fn`` until it succeeds, fails for good, or the slots or the budget are used up; raise the last error.

    ``writes`` says whether a try that this function has to cut off may have changed something at the other side.
    ``on_attempt`` is called after every try, also one that is cut off; what it raises is dropped, for it must not hide
    what it was to log.
    ``prove_absent`` is asked about an error after which it is not known whether the call was executed: true means
    that it surely was not. The error then says so (``executed`` is ``NO``), also when no slot is left; false, or a
    failure to find out, raises the error as it is, in doubt.
    """
    invocation = _Invocation(fn, options, writes, on_attempt, prove_absent)
    try:
        return await invocation.one_try()  # most calls succeed, and tenacity costs more than such a call itself
    except BilagError as error:
        invocation.first_error = error
    from tenacity import AsyncRetrying

    retrying = AsyncRetrying(
        sleep=options.sleep,
        retry=invocation.goes_again,
        wait=invocation.wait,
        stop=invocation.is_over,
        reraise=True,
    )
    return await retrying(invocation.next_try)


class _Invocation(Generic[T]):
    """The state of one call of :func:`with_retry`, in the words that tenacity asks for."""

    def __init__(
        self,
        fn: Callable[[], Awaitable[T]],
        options: RetryOptions,
        writes: bool,
        on_attempt: Callable[[Attempt], None] | None,
        prove_absent: Callable[[BilagError], Awaitable[bool]] | None,
    ) -> None:
        self._fn, self._options, self._writes = fn, options, writes
        self._on_attempt, self._prove_absent = on_attempt, prove_absent
        self._slots = options.slots()
        self._ends = options.clock() + options.budget
        self._tries = 0
        self.first_error: BilagError | None = None

    async def next_try(self) -> T:
        """The outcome of the try before the retrying began, then tries."""
        error, self.first_error = self.first_error, None
        if error is not None:
            raise error
        return await self.one_try()

    async def one_try(self) -> T:
        self._tries += 1
        began = self._options.clock()
        try:
            result = await self._in_time()
        except asyncio.CancelledError:
            self._tell(Timeout("cut off before its answer", executed=self._unheard), began)
            raise
        except Exception as error:
            self._tell(describe(error), began)
            raise
        self._tell(None, began)
        return result

    async def goes_again(self, state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, BilagError) or error.is_permanent:
            return False
        if error.executed is Executed.UNKNOWN and await self._is_absent(error):
            error.executed = Executed.NO
        return error.executed is Executed.NO

    def wait(self, state: RetryCallState) -> float:
        """The wait before the next try: its slot's, or longer if the other side asked for that."""
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, BilagError) else None
        slot = self._slots[self._tries - 1] if self._tries <= len(self._slots) else 0.0
        return max(slot, asked or 0.0)

    def is_over(self, state: RetryCallState) -> bool:
        needed = state.upcoming_sleep + (self._options.timeout or 0.0)
        return self._tries > len(self._slots) or needed > self._left()

    async def _in_time(self) -> T:
        limit = self._left() if self._options.timeout is None else self._options.timeout
        timer = asyncio.timeout(limit)
        try:
            async with timer:
                return await self._fn()
        except TimeoutError:
            if not timer.expired():
                raise
            raise Timeout(f"no answer within {limit:g} seconds", executed=self._unheard) from None

    @property
    def _unheard(self) -> Executed:
        """Whether a try without an end was executed."""
        return Executed.UNKNOWN if self._writes else Executed.NO

    async def _is_absent(self, error: BilagError) -> bool:
        if self._prove_absent is None:
            return False
        with contextlib.suppress(BilagError, TimeoutError):  # what cannot be found out is not known
            async with asyncio.timeout(max(0.0, self._left())):
                return await self._prove_absent(error)
        return False

    def _tell(self, error: BilagError | None, began: float) -> None:
        if self._on_attempt is not None:
            with contextlib.suppress(Exception):  # a log that fails must not hide what it was to log
                self._on_attempt(Attempt(self._tries, error, self._options.clock() - began))

    def _left(self) -> float:
        return self._ends - self._options.clock()
