"""``bilag doctor``: one line for each thing that must be well, with its mend when it is not."""

from __future__ import annotations

from dataclasses import asdict

import click

from worker import settings
from worker.cli.checks import look
from worker.cli.show import json_option, print_json


@click.command()
@json_option
def doctor(as_json: bool) -> int:
    """Verify every dependency and setting. Exit 1 if any fails."""
    found = settings.load()
    checks = []
    for check in look(found):
        checks.append(check)
        if not as_json:
            click.echo(f"{'ok  ' if check.well else 'FAIL'}  {check.name}: {check.said}")
            if not check.well:
                click.echo(f"      {check.mend}")
    if as_json:
        print_json([asdict(check) for check in checks])
    return 0 if all(check.well for check in checks) else 1
