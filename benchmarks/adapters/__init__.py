"""The adapters of the benchmarks: a folder like ``worker/adapters``, put in its place in a process that measures."""

from __future__ import annotations

from pathlib import Path

from worker import adapters


def take_over() -> None:
    """From now on this process's worker finds the accounting systems of this folder, and no others."""
    adapters.ADAPTERS = adapters.Adapters(Path(__file__).parent, __name__)
