"""``bilag migrate``: bring a database to this version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from worker import settings
from worker.cli.show import json_option, print_json
from worker.cli.told import Told

if TYPE_CHECKING:
    from worker.migrate import Report


@click.command()
@click.option("--dsn", help="The database; else BILAG_MIGRATE_URL or DATABASE_URL.")
@click.option("--check", is_flag=True, help="Change nothing; exit 1 when the database is not at this version.")
@click.option(
    "--to", type=click.Path(file_okay=False, path_type=Path), help="Write what this folder lacks, as SQL files."
)
@json_option
def migrate(dsn: str | None, check: bool, to: Path | None, as_json: bool) -> int:
    """Apply migrations/ once and sql/ when it changed. Doing it again changes nothing."""
    if check and to:
        raise click.UsageError("--check and --to exclude each other.")
    from worker.migrate import MigrationError
    from worker.migrate import migrate as run

    url = dsn or ("" if to else settings.load().owner_url)
    try:
        report = run(url, check=check, to=to)
    except MigrationError as error:
        raise Told(str(error)) from None
    if as_json:
        print_json({name: list(value) if isinstance(value, tuple) else value for name, value in _facts(report).items()})
    else:
        _tell(report, check=check, to=to)
    return 1 if check and report.drift else 0


def _facts(report: Report) -> dict[str, object]:
    return {
        "prepared": report.prepared,
        "applied": report.applied,
        "verbsApplied": report.verbs_applied,
        "dropped": report.dropped,
        "drift": report.drift,
        "notes": report.notes,
        "written": tuple(str(path) for path in report.written),
        "changed": report.changed,
    }


def _tell(report: Report, *, check: bool, to: Path | None) -> None:
    if to:
        for path in report.written:
            click.echo(f"wrote {path}")
        click.echo(f"{len(report.written)} new files in {to}.")
        return
    if check:
        for difference in report.drift:
            click.echo(difference)
        click.echo("The database is not at this version." if report.drift else "The database is at this version.")
        return
    for line in (
        *(f"prepared {name}" for name in report.prepared),
        *(f"applied {name}" for name in report.applied),
        *(f"dropped {name}" for name in report.dropped),
        *(["applied sql/"] if report.verbs_applied else []),
        *(f"note: {note}" for note in report.notes),
    ):
        click.echo(line)
    click.echo(
        "The database is at this version." if report.changed else "Nothing to do: the database is at this version."
    )
