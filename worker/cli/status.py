"""``bilag status``: queues, runs with their bars, health, open alerts, workers."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, LiteralString

import click

from worker.cli.people import People, Row, people
from worker.cli.show import console, json_option, print_json, table

if TYPE_CHECKING:
    from rich.console import RenderableType

_WATCH_SECONDS = 2.0
_SECTIONS: dict[str, LiteralString] = {
    "integrations": "select * from bilag.overview order by organization, integration_type",
    "queues": "select * from bilag.queue_status order by queue",
    "runs": "select * from bilag.runs_in_progress order by enqueued_at",
    "alerts": "select * from bilag.open_alerts",
    "workers": "select * from bilag.workers where status <> 'gone' order by last_seen_at desc",
}
_COLUMNS = {
    "integrations": (
        "organization integration_type status health pending sending accepted exported rejected in_doubt"
        " last_run_finished_at next_work_at"
    ),
    "queues": "queue messages visible oldest lanes_due lanes_leased next_due_at",
    "runs": "organization integration_type status waiting_reason_code bar done total due_at last_error run_id",
    "alerts": "severity kind organization integration_type message count opened_at runbook",
    "workers": "host pid version status running lanes started_at last_seen_at",
}


@click.command()
@click.option("--watch", is_flag=True, help="Draw it anew every two seconds, until Ctrl-C.")
@json_option
def status(watch: bool, as_json: bool) -> None:
    """Show how everything stands."""
    if watch and as_json:
        raise click.UsageError("--watch and --json exclude each other.")
    with people() as asked:
        if as_json:
            print_json(_read(asked))
        elif watch:
            _watch(asked)
        else:
            console().print(_draw(_read(asked)))


def _read(asked: People) -> dict[str, list[Row]]:
    return {name: asked.rows(statement) for name, statement in _SECTIONS.items()}


def _watch(asked: People) -> None:
    from rich.live import Live

    first = _draw(_read(asked))
    # Ctrl-C is the way to end it.
    with suppress(KeyboardInterrupt), Live(first, console=console(), screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(_WATCH_SECONDS)
            live.update(_draw(_read(asked)), refresh=True)


def _draw(found: dict[str, list[Row]]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    drawn: list[RenderableType] = []
    for name, rows in found.items():
        shown = [_with_bar(row) for row in rows] if name == "runs" else rows
        if shown:
            drawn.append(table(name.capitalize(), shown, _COLUMNS[name].split()))
        else:
            drawn.append(Text(f"{name.capitalize()}: none\n"))
    return Group(*drawn)


def _with_bar(row: Row) -> Row:
    return {**row, "bar": bar(row.get("done"), row.get("total"))}


def bar(done: Any, total: Any, width: int = 20) -> str:
    """How much of a run is done, as text: ``████──── 50%``; empty before it has started."""
    if not total:
        return ""
    share = min(int(done or 0) / int(total), 1)
    full = round(share * width)
    return "█" * full + "─" * (width - full) + f" {share:.0%}"
