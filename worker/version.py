"""Which version this is, and which contract it keeps: known before anything else of the worker is imported."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

CONTRACT = 1
"""The number of the agreement between this worker and the functions of ``bilag_internal``.

A worker refuses to claim from a database that announces another one (``bilag.installation``).
"""


def bilag_version() -> str:
    """The installed version, or ``0+checkout`` when the project runs without being installed."""
    try:
        return version("bilag")
    except PackageNotFoundError:
        return "0+checkout"
