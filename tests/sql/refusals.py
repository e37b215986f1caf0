"""A caller's mistake: a private SQLSTATE and one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest


@contextmanager
def refused(sqlstate: str, sentence: str = "") -> Iterator[None]:
    """What is inside must raise this SQLSTATE, with these words in its sentence."""
    with pytest.raises(psycopg.Error) as caught:
        yield
    assert caught.value.sqlstate == sqlstate, caught.value
    told = caught.value.diag.message_primary or ""
    assert sentence in told
    assert told.endswith("."), "a sentence ends"
