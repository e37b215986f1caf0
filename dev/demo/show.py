"""What the demo shows: a bar per run while it goes, and the count at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

console = Console(width=116)

PATIENCE_SECONDS = 180
LOOK_EVERY_SECONDS = 0.2
ENDED = ("succeeded", "partially_succeeded", "failed", "cancelled")


class TookTooLong(RuntimeError):
    """A run did not end; the text says how it stood."""


def status(connection: psycopg.Connection, run_id: UUID) -> dict[str, Any]:
    row = connection.execute("select bilag.export_status(%s)", (run_id,)).fetchone()
    found: dict[str, Any] = row[0] if row else {}
    return found


def watch(connection: psycopg.Connection, runs: Sequence[tuple[str, UUID]]) -> None:
    """Draw a bar for each (name, run) until all have ended. Raises TookTooLong."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    columns = (
        TextColumn("{task.description:<42}"),
        BarColumn(30),
        MofNCompleteColumn(),
        TextColumn("{task.fields[said]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bars = {run: progress.add_task(name, total=None, said="queued") for name, run in runs}
        while bars:
            for run in list(bars):
                now = status(connection, run)
                claims = now["claims"]
                waits = now["waitingFor"]["reasonCode"] if now["waitingFor"] else now["status"]
                done = claims["exported"] + claims["rejected"]
                progress.update(bars[run], total=claims["total"] or None, completed=done, said=waits)
                if now["status"] in ENDED:
                    bars.pop(run)
            if time.monotonic() > deadline:
                raise TookTooLong(
                    f"After {PATIENCE_SECONDS} s these runs have not ended: {[str(run) for run in bars]}."
                )
            time.sleep(LOOK_EVERY_SECONDS)


@dataclass(frozen=True)
class Count:
    """One organisation's claims: ``unbookable`` were to be rejected; ``booked`` is the ledger's own word."""

    organization: str
    system: str
    how: str
    approved: int
    unbookable: int
    rejected: int
    booked: int
    missing: int
    doubled: int

    @property
    def right(self) -> bool:
        return (
            not self.missing
            and not self.doubled
            and self.rejected == self.unbookable
            and self.booked == self.approved - self.rejected
        )


def summary(counts: Sequence[Count], reasons: Sequence[tuple[str, int]]) -> None:
    table = Table(title="What the accounting systems really hold", title_justify="left")
    for heading in (
        "organisation",
        "system",
        "exported by",
        "approved",
        "rejected",
        "in the ledger",
        "missing",
        "doubled",
    ):
        is_text = heading in ("organisation", "system", "exported by")
        table.add_column(heading, justify="left" if is_text else "right", no_wrap=True)
    for count in counts:
        table.add_row(
            count.organization,
            count.system,
            count.how,
            *(str(n) for n in (count.approved, count.rejected, count.booked, count.missing, count.doubled)),
        )
    table.add_section()
    table.add_row(
        "all",
        "",
        "",
        *(
            str(sum(getattr(count, name) for count in counts))
            for name in ("approved", "rejected", "booked", "missing", "doubled")
        ),
    )
    console.print(table)
    for reason, number in reasons:
        console.print(f"  rejected: {number} × {reason}")
