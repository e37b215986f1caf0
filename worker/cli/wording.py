"""How a failure is told: one sentence on stderr, without a secret in it."""

from __future__ import annotations

from worker.redaction import message as presentable


def line(text: str) -> str:
    """What stands on stderr."""
    return f"bilag: {presentable(text)}"


def sentence(text: str, hint: str | None = None) -> str:
    """A database's message as a sentence, with its hint behind it."""
    said = text.strip().splitlines()[0] if text.strip() else "The database refused."
    said = said if said.endswith((".", "!", "?")) else said + "."
    return f"{said} {hint.strip()}" if hint and hint.strip() else said
