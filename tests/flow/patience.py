"""Waiting for what other processes do: as long as it takes, and with a word about what never came."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_SECONDS = 120.0
LOOK_EVERY_SECONDS = 0.03


class NeverCame(AssertionError):
    """What was waited for did not happen. The text says what, and how things stood."""


def until(what: str, look: Callable[[], T], seconds: float = PATIENCE_SECONDS, told: Callable[[], str] = str) -> T:
    """Look until the answer is true, and return it. Raises NeverCame, with what ``told`` says of the state."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise NeverCame(f"It never came to this: {what}. {told()}")
        time.sleep(LOOK_EVERY_SECONDS)
    return found
