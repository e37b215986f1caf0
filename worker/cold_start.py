"""What a cold start costs: the process's age at its first claim, and how long each system's first call took."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker import telemetry


@contextmanager
def without_collecting() -> Iterator[None]:
    """Look for no garbage until :func:`collect_again`, or the end of the block: imports make many objects, and none."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def collect_again() -> None:
    """What was imported stays for good and is not looked at again."""
    gc.freeze()
    gc.enable()


def milliseconds_since_start(moment: float | None) -> int | None:
    """How old this process was at ``moment`` (of :func:`worker.leases.now`), where the system says.

    Linux does, in hundredths of a second.
    """
    try:
        stat = Path("/proc/self/stat").read_text(encoding="ascii")
        started = int(stat.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None
    return None if moment is None else round((moment - started) * 1000)


class FirstCall:
    """Tells of the first call to each accounting system: it pays for the handshake and the first token."""

    def __init__(self) -> None:
        self._warm: set[str] = set()

    def note(self, adapter: str, operation: str, duration_ms: int | None) -> None:
        if adapter not in self._warm and duration_ms is not None:
            self._warm.add(adapter)
            telemetry.info("cold_start.first_call", adapter=adapter, operation=operation, latency_ms=duration_ms)
