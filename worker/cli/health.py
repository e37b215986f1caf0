"""``bilag health``: how each connection is now, and its last 24 hours drawn in colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, LiteralString

import click

from worker.cli.people import Row, people
from worker.cli.show import console, json_option, print_json

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_TREND: LiteralString = (
    "select * from bilag.health_trend t where %s::uuid is null or t.org_id = %s order by organization, integration_type"
)
_COLOURS = {"h": "green", "d": "yellow", "u": "red", " ": "dim"}
_WORDS = {"healthy": "green", "degraded": "yellow", "unreachable": "red"}
_GAP = "·"


@click.command()
@click.argument("organisation", metavar="[ORG]", required=False)
@json_option
def health(organisation: str | None, as_json: bool) -> None:
    """Show whether each connection answers.

    And a day of it: blocks are answers, × is unreachable, · is a gap.
    """
    with people() as asked:
        org = asked.organisation(organisation) if organisation else None
        rows = asked.rows(_TREND, org, org)
    if as_json:
        print_json(rows)
    elif rows:
        console().print(draw(rows))
    else:
        click.echo("There is no integration: insert one into bilag.integration_config.")


def draw(rows: list[Row]) -> RenderableType:
    """Each connection in two lines: what it is now, and its day under it."""
    from rich.console import Group

    drawn: list[RenderableType] = []
    for row in rows:
        drawn += [_now(row), _day(row), ""]
    return Group(*drawn[:-1])


def _now(row: Row) -> Text:
    from rich.text import Text

    line = Text(f"{row['organization']}  {row['integration_type']}  ")
    line.append(row["status"] or "not checked yet", style=_WORDS.get(row["status"], "dim"))
    facts = [
        f"{row['latency_ms']} ms" if row["latency_ms"] is not None else "",
        f"available {row['availability']} %" if row["availability"] is not None else "",
        f"p50 {row['latency_p50_ms']} ms, p95 {row['latency_p95_ms']} ms" if row["latency_p50_ms"] is not None else "",
        row["health_mode"] if row["health_mode"] != "active" else "",
        f"checked {row['checked_at'].astimezone():%H:%M:%S}" if row["checked_at"] else "",
    ]
    line.append("".join(f"  {fact}" for fact in facts if fact))
    if row["error_message"]:
        line.append(f"  {row['error_message']}", style="dim")
    return line


def _day(row: Row) -> Text:
    from rich.text import Text

    line = Text().append("  -24 h ", style="dim")
    for block, mark in zip(row["trend"], row["marks"], strict=True):
        line.append(block if mark != " " else _GAP, style=_COLOURS[mark])
    return line.append(" now", style="dim")
