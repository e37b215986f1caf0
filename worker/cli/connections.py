"""A connection that only looks: whatever was done over it is rolled back, and its errors are sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from worker.cli.people import told
from worker.database import conninfo


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Raises Told."""
    with told(), psycopg.connect(conninfo(url, "bilag doctor"), prepare_threshold=None) as connection:
        yield connection
        connection.rollback()
