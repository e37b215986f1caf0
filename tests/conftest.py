"""Fixtures live in ``tests/fix_<subject>.py``; every such file is found here."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = [f"tests.{path.stem}" for path in sorted(Path(__file__).parent.glob("fix_*.py"))]
pytest.register_assert_rewrite(*pytest_plugins)  # all before the first, for they import each other


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Coroutines run on asyncio, as the worker does; a module of them says ``pytestmark = pytest.mark.anyio``."""
    return "asyncio"
