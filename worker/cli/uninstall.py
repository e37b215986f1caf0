"""``bilag uninstall``: take Bilag out of a database."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from worker import settings
from worker.cli.show import json_option, print_json
from worker.cli.told import Told

if TYPE_CHECKING:
    from worker.migrate.uninstall import Plan


@click.command()
@click.option("--dsn", help="The database; else BILAG_MIGRATE_URL or DATABASE_URL.")
@click.option("--dry-run", is_flag=True, help="Change nothing; say what would go, what stays, what stands in the way.")
@click.option("--keep-data", is_flag=True, help="Keep tables, queues and secrets; `bilag migrate` puts the rest back.")
@click.option("--secrets", is_flag=True, help="Delete the credentials from Vault, too.")
@click.option("--force", is_flag=True, help="Even with unsettled vouchers or living workers.")
@click.option("--confirm", metavar="DATABASE", help="The database's name, instead of being asked for it.")
@json_option
def uninstall(
    dsn: str | None, dry_run: bool, keep_data: bool, secrets: bool, force: bool, confirm: str | None, as_json: bool
) -> int:
    """Take away what `bilag migrate` made.

    That is jobs, queues, schemas with all their data, roles.

    Nothing of another application's goes; with something of one in the way, nothing goes at all.
    """
    if keep_data and secrets:
        raise click.UsageError("--keep-data and --secrets exclude each other.")
    from worker.migrate.report import MigrationError
    from worker.migrate.uninstall import Choice, plan
    from worker.migrate.uninstall import uninstall as run

    url = dsn or settings.load().owner_url
    choice = Choice(keep_data=keep_data, secrets=secrets, force=force)
    try:
        seen = plan(url, choice)
        if dry_run:
            _tell(seen, as_json=as_json)
            return 1 if seen.obstacles else 0
        if seen.obstacles:
            raise Told(" ".join(seen.obstacles))
        _confirm(seen, confirm, quiet=as_json)
        done = run(url, choice)
    except MigrationError as error:
        raise Told(str(error)) from None
    if as_json:
        print_json(_facts(done))
        return 0
    for note in done.notes:
        click.echo(f"note: {note}")
    click.echo("The tables stay, the rest is gone." if keep_data else "Bilag is gone from this database.")
    return 0


def _confirm(seen: Plan, confirm: str | None, *, quiet: bool) -> None:
    if confirm is None and sys.stdin.isatty() and not quiet:
        _tell(seen, as_json=False)
        confirm = click.prompt("This cannot be undone. Type the name of the database to go on")
    if confirm is None:
        raise click.UsageError(f"Say --confirm {seen.database}, or look first: --dry-run.")
    if confirm != seen.database:
        raise Told(f"The database is {seen.database}, not {confirm}; nothing was changed.")


def _tell(seen: Plan, *, as_json: bool) -> None:
    if as_json:
        print_json(_facts(seen))
        return
    click.echo(f"Database {seen.database}.")
    for head, lines in (("Goes:", seen.goes), ("Stays:", seen.stays), ("In the way:", seen.obstacles)):
        if lines:
            click.echo(head)
        for line in lines:
            click.echo(f"  {line}")


def _facts(seen: Plan) -> dict[str, object]:
    return {
        "database": seen.database,
        "goes": seen.goes,
        "stays": seen.stays,
        "obstacles": seen.obstacles,
        "notes": seen.notes,
    }
