"""``bilag secret``, ``dead-letters``, ``pause``, ``resume`` and ``recover``: what operators do."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime

import click

from worker.cli.people import people
from worker.cli.show import console, json_option, print_json, table
from worker.redaction import guard

_MOMENTS = ["%Y-%m-%d", *(f"%Y-%m-%d{between}%H:%M:%S{zone}" for between in "T " for zone in ("", "%z"))]
_DEAD_LETTERS = ("id", "died_at", "queue", "reason_code", "reason", "what_to_do", "message", "run_id")


@click.group()
def secret() -> None:
    """Credentials of integrations. They go into Vault and never come back out here."""


@secret.command(name="set")
@click.argument("org")
@click.argument("integration_type", metavar="TYPE")
@click.option("--expires-at", type=click.DateTime(), help="When the accounting system stops accepting it (UTC).")
def set_secret(org: str, integration_type: str, expires_at: datetime | None) -> None:
    """Read a secret from standard input, or ask for it, and put it into Vault."""
    with people() as asked:
        organisation = asked.organisation(org)
        asked_for = sys.stdin.isatty()
        given = click.prompt("Secret", hide_input=True) if asked_for else sys.stdin.read().strip()
        if given:
            guard(given)
        asked.rows(
            "select bilag.set_integration_credential(%s, %s, %s, %s at time zone 'UTC')",
            organisation,
            integration_type,
            given,
            expires_at,
        )
    click.echo(f"The credential of {integration_type} is set.")


@click.group(name="dead-letters")
def dead_letters() -> None:
    """Messages and runs that were set aside."""


@dead_letters.command(name="list")
@json_option
def list_dead_letters(as_json: bool) -> None:
    """Show what was set aside, and why."""
    with people() as asked:
        found = asked.rows("select * from bilag.dead_letters order by id")
    if as_json:
        print_json(found)
    elif found:
        console().print(table("Dead letters", found, _DEAD_LETTERS))
    else:
        click.echo("There are no dead letters.")


@dead_letters.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True, type=int)
@json_option
def redrive(ids: tuple[int, ...], as_json: bool) -> None:
    """Do again what dead letters stood for."""
    with people() as asked:
        _tell_each(((letter, str(asked.value("select bilag.redrive(%s)", letter))) for letter in ids), as_json)


@dead_letters.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True, type=int)
@click.option("--reason", default="discarded by an operator", show_default=True, help="Why nothing is to be done.")
@json_option
def discard(ids: tuple[int, ...], reason: str, as_json: bool) -> None:
    """Archive dead letters without doing anything about them."""

    def discarded(letter: int) -> tuple[int, str]:
        asked.rows("select bilag.discard(%s, %s)", letter, reason)
        return letter, "discarded"

    with people() as asked:
        _tell_each(map(discarded, ids), as_json)


@click.command()
@click.argument("org", required=False)
@click.argument("integration_type", metavar="[TYPE]", required=False)
@click.option("--everything", is_flag=True, help="Every integration of every organisation.")
@click.option("--reason", default="paused by an operator", show_default=True)
def pause(org: str | None, integration_type: str | None, everything: bool, reason: str) -> None:
    """Hold an integration back, or everything. Runs wait; nothing is lost."""
    named = _one_or_all(org, integration_type, everything)
    with people() as asked:
        if named is None:
            asked.rows("select bilag.pause_everything(%s)", reason)
            click.echo("Everything is paused.")
            return
        asked.rows("select bilag.pause_integration(%s, %s, %s)", asked.organisation(named[0]), named[1], reason)
    click.echo(f"{named[1]} is paused.")


@click.command()
@click.argument("org", required=False)
@click.argument("integration_type", metavar="[TYPE]", required=False)
@click.option("--everything", is_flag=True, help="Undo pause --everything.")
def resume(org: str | None, integration_type: str | None, everything: bool) -> None:
    """Let an integration, or everything, go on."""
    named = _one_or_all(org, integration_type, everything)
    with people() as asked:
        if named is None:
            asked.rows("select bilag.resume_everything()")
            click.echo("Everything goes on.")
            return
        asked.rows("select bilag.resume_integration(%s, %s)", asked.organisation(named[0]), named[1])
    click.echo(f"{named[1]} goes on.")


@click.command()
@click.option(
    "--since",
    required=True,
    type=click.DateTime(formats=_MOMENTS),
    help="Since when this database may have forgotten what was sent; UTC, if it names no offset.",
)
@json_option
def recover(since: datetime, as_json: bool) -> None:
    """After a restore: look before anything is sent.

    Every unexported claim is looked up at the accounting system first.
    """
    moment = since if since.tzinfo else since.replace(tzinfo=UTC)
    with people() as asked:
        claims = asked.value("select bilag_internal.recover(%s)", moment)
    if as_json:
        print_json({"since": moment, "claims": claims})
        return
    click.echo(
        f"{claims} approved claims that this database does not know as exported are looked up before they are sent."
    )


def _tell_each(done: Iterable[tuple[int, str]], as_json: bool) -> None:
    """What was done about each dead letter, as it is done; as JSON, once all are."""
    if as_json:
        print_json([{"id": letter, "done": what} for letter, what in done])
        return
    for letter, what in done:
        click.echo(f"{letter}: {what}")


def _one_or_all(org: str | None, integration_type: str | None, everything: bool) -> tuple[str, str] | None:
    """The integration named, or None for everything."""
    if everything and not org:
        return None
    if org and integration_type and not everything:
        return org, integration_type
    raise click.UsageError("Name an organisation and a type, or --everything.")
