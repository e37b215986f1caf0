"""A failure that is a person's to mend: one sentence on stderr, no traceback."""

from __future__ import annotations

from typing import IO, Any

import click

from worker.cli.wording import line, sentence

__all__ = ["Told", "sentence"]


class Told(click.ClickException):
    """Shown as ``bilag: <sentence>``; the exit code is 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(line(self.message), err=file is None, file=file)
