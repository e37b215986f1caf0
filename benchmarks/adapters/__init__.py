"""The adapters of the benchmarks: a folder like ``worker/adapters``, which takes its place while they measure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker import adapters


@contextmanager
def in_place() -> Iterator[None]:
    """Inside, this process's worker finds the accounting systems of this folder, and no others."""
    before = adapters.ADAPTERS
    adapters.ADAPTERS = adapters.Adapters(Path(__file__).parent, __name__)
    try:
        yield
    finally:
        adapters.ADAPTERS = before
