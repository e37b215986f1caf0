"""Which version this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def bilag_version() -> str:
    """The installed version, or ``0+checkout`` when the project runs without being installed."""
    try:
        return version("bilag")
    except PackageNotFoundError:
        return "0+checkout"
