"""``bilag preview``, ``export`` and ``claim``: what an organisation's finance people ask, for those at a shell."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import click

from worker.cli.people import People, people
from worker.cli.show import console, json_option, print_json, table

_ENDED = ("succeeded", "partially_succeeded", "failed", "cancelled")
_POLL_SECONDS = 0.5

period_end = click.option("--period-end", type=click.DateTime(["%Y-%m-%d"]), help="Last day to export; else up to now.")


@click.command()
@click.argument("org")
@click.argument("integration_type", metavar="TYPE")
@period_end
@json_option
def preview(org: str, integration_type: str, period_end: datetime | None, as_json: bool) -> None:
    """Show what an export would book and what it would reject. Sends nothing."""
    with people() as asked:
        found = asked.value(
            "select bilag.preview_export(%s, %s, %s)", asked.organisation(org), integration_type, _day(period_end)
        )
    if as_json:
        print_json(found)
        return
    out = console()
    out.print(f"{found['wouldBook']} claims would be booked, {found['wouldReject']} rejected.")
    if found["sums"]:
        out.print(table("By account", found["sums"]))
    if found["rejected"]:
        out.print(table("Would be rejected", found["rejected"], ("claimNumber", "reasonCode", "reason")))


@click.command()
@click.argument("org")
@click.argument("integration_type", metavar="TYPE")
@period_end
@click.option("--wait", is_flag=True, help="Wait for its end; exit 0 only if it succeeded.")
@json_option
def export(org: str, integration_type: str, period_end: datetime | None, wait: bool, as_json: bool) -> int:
    """Queue an export."""
    with people() as asked:
        organisation = asked.organisation(org)
        run = asked.value("select bilag.request_export(%s, %s, %s)", organisation, integration_type, _day(period_end))
        status = _wait_for(asked, run) if wait else _status(asked, run)
    if as_json:
        print_json(status)
    elif wait:
        console().print(_ending(status))
    else:
        click.echo(f"Run {run} is {status['status']}.")
    return 0 if not wait or status["status"] == "succeeded" else 1


@click.command()
@click.argument("org")
@click.argument("claim_number")
@json_option
def claim(org: str, claim_number: str, as_json: bool) -> None:
    """Tell a claim's whole story, one line per event."""
    with people() as asked:
        organisation = asked.organisation(org)
        story = [
            row["line"]
            for row in asked.rows("select line from bilag.explain_claim(%s, %s) as line", organisation, claim_number)
        ]
    if as_json:
        print_json(story)
    else:
        click.echo("\n".join(story))


def _status(asked: People, run: Any) -> dict[str, Any]:
    status: dict[str, Any] = asked.value("select bilag.export_status(%s)", run)
    return status


def _wait_for(asked: People, run: Any) -> dict[str, Any]:
    """Poll a run until it has ended, drawing a bar where there is a terminal to draw on."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    look = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*look, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("queued", total=None)

        def draw(status: dict[str, Any]) -> None:
            claims = status["claims"]
            done = claims["exported"] + claims["rejected"]
            progress.update(bar, description=_standing(status), completed=done, total=claims["total"] or None)

        return _until_ended(lambda: _status(asked, run), draw)


def _until_ended(ask: Callable[[], dict[str, Any]], draw: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    while True:
        status = ask()
        draw(status)
        if status["status"] in _ENDED:
            return status
        time.sleep(_POLL_SECONDS)


def _standing(status: dict[str, Any]) -> str:
    waiting = status.get("waitingFor")
    return f"{status['status']} ({waiting['reasonCode']})" if waiting else str(status["status"])


def _ending(status: dict[str, Any]) -> str:
    claims = status["claims"]
    counted = ", ".join(f"{number} {name}" for name, number in claims.items() if number and name != "total")
    ending = f"Run {status['runId']} {status['status'].replace('_', ' ')}: {counted or 'nothing to do'}."
    if status.get("error"):
        ending += f" {status['error']['message']}"
    if status.get("file"):
        ending += f" Its file: bilag file {status['runId']} --output {status['file']['name']}"
    return ending


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None
