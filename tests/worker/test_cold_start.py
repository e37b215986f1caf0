"""What a cold start spares itself: garbage is not looked for while everything is imported, and afterwards it is."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from worker.cold_start import collect_again, milliseconds_since_start, without_collecting
from worker.leases import now


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    gc.enable()
    gc.unfreeze()


def test_garbage_is_not_looked_for_during_a_start_and_is_after_it() -> None:
    with without_collecting():
        assert not gc.isenabled()
        collect_again()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 1000
    assert gc.isenabled()


def test_a_start_that_fails_leaves_a_process_that_collects() -> None:
    with pytest.raises(ValueError, match="no database"), without_collecting():
        raise ValueError("no database")
    assert gc.isenabled()


def test_the_age_of_this_process_is_known_in_milliseconds() -> None:
    age = milliseconds_since_start(now())
    assert age is not None
    assert 0 < age < 24 * 3600 * 1000
    assert milliseconds_since_start(None) is None
