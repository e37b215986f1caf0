"""``python -m benchmarks``: asks every question on one throw-away server, and prints one table."""

from __future__ import annotations

import json
import sys
from importlib import import_module

import click

from benchmarks.rows import Row, table
from benchmarks.sizes import FULL, QUICK, Sizes
from dev.postgres import PostgresMissing, Server, throw_away

QUESTIONS = ("throughput", "backlog", "latency", "cold", "export500")


def ask(name: str, server: Server, sizes: Sizes) -> list[Row]:
    """The rows that answer one question."""
    rows: list[Row] = import_module(f"benchmarks.{name}").answer(server, sizes)
    return rows


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--quick", is_flag=True, help="A minute or two instead of ten; shows the order of magnitude.")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
@click.option("--only", type=click.Choice(QUESTIONS), multiple=True, help="Ask this question alone; may be repeated.")
def main(quick: bool, as_json: bool, only: tuple[str, ...]) -> None:
    """What Bilag costs, beside what it could be compared with, measured here and now."""
    rows: list[Row] = []
    try:
        # As a production server writes, and without pg_cron, whose tick would come in the middle of something.
        with throw_away(cron_database=None, durable=True) as server:
            for name in only or QUESTIONS:
                click.echo(f"{name} …", err=True)
                rows += ask(name, server, QUICK if quick else FULL)
    except PostgresMissing as error:
        raise click.ClickException(str(error)) from None
    finally:  # who interrupts the last question still gets the answers to the others
        if rows:
            click.echo(json.dumps([row.as_json() for row in rows], indent=2) if as_json else table(rows))


if __name__ == "__main__":
    sys.exit(main())
