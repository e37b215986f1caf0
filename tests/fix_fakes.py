"""Fixtures: fake accounting systems over real HTTP. A scripted fault that never happened fails the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev.fakes import XledgerFake, serving
from dev.fakes.fake import Fake


def ended(fake: Fake) -> None:
    """Fail when a fault was scripted and not met: the test proved less than it says."""
    unused = fake.unused()
    fake.clear_faults()
    if unused:
        pytest.fail("scripted faults that never happened: " + "; ".join(unused))


@pytest.fixture
def erp() -> Iterator[XledgerFake]:
    """A served Xledger with one legal entity, reached by the token ``test-token`` at ``erp.url``."""
    with serving(XledgerFake()) as fake:
        yield fake
        ended(fake)
