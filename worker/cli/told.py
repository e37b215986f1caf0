"""A failure that is a person's to mend: one sentence on stderr, no traceback."""

from __future__ import annotations

from typing import IO, Any

import click

from worker.redaction import message as presentable


class Told(click.ClickException):
    """Shown as ``bilag: <sentence>``; the exit code is 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"bilag: {presentable(self.message)}", err=file is None, file=file)


def sentence(text: str, hint: str | None = None) -> str:
    """A database's message as a sentence, with its hint behind it."""
    said = text.strip().splitlines()[0] if text.strip() else "The database refused."
    said = said if said.endswith((".", "!", "?")) else said + "."
    return f"{said} {hint.strip()}" if hint and hint.strip() else said
