"""``bilag worker`` and ``bilag version``."""

from __future__ import annotations

from dataclasses import replace

import click

from worker import settings
from worker.cli.serving import CannotServe, serve
from worker.cli.told import Told
from worker.trades import QUEUES


@click.command()
@click.option("--drain", is_flag=True, help="Exit 0 when no work is due or in flight.")
@click.option("--concurrency", type=click.IntRange(1, 1000), help="Jobs at once; else BILAG_CONCURRENCY.")
@click.option(
    "--queues", default=",".join(QUEUES), show_default=True, help="Which queues to serve, separated by commas."
)
def worker(drain: bool, concurrency: int | None, queues: str) -> int:
    """Claim jobs and do them, until stopped."""
    chosen = _chosen(queues)
    found = settings.load()
    if concurrency:
        found = replace(found, concurrency=concurrency)
    try:
        return serve(found, drain=drain, queues=chosen)
    except CannotServe as error:
        raise Told(str(error)) from None


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def version(as_json: bool) -> None:
    """Print the version.

    And the number of the contract that this worker keeps with the database.
    """
    from worker.cli.show import print_json
    from worker.version import CONTRACT, bilag_version

    if as_json:
        print_json({"version": bilag_version(), "contract": CONTRACT})
    else:
        click.echo(f"bilag {bilag_version()}, contract {CONTRACT}")


def _chosen(queues: str) -> tuple[str, ...]:
    """The queues that are named, in our own order, each once."""
    named = {name.strip() for name in queues.split(",")} - {""}
    there_are = ", ".join(QUEUES)
    for queue in named.difference(QUEUES):
        raise click.BadParameter(f"there is no queue {queue!r}; there is {there_are}.", param_hint="--queues")
    if not named:
        raise click.BadParameter(f"name at least one queue: {there_are}.", param_hint="--queues")
    return tuple(queue for queue in QUEUES if queue in named)
