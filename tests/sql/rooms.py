"""The rooms of sql/ as they are written."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "sql"


def rooms() -> dict[str, str]:
    """The text of every room, by file name."""
    return {path.name: path.read_text() for path in sorted(FOLDER.glob("*.sql"))}


def room(name: str) -> str:
    return rooms()[name]
