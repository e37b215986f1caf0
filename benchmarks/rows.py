"""The table's rows: what was measured, what it is held against, the ratio of the two, and what was aimed at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

HEADINGS = ("question", "measured", "limit or peer", "ratio", "aim")


@dataclass(frozen=True)
class Row:
    """One answer. ``ratio`` is measured over limit or peer, the median of the repetitions' own ratios.

    ``at_least`` and ``at_most`` are aims for the ratio; ``beside`` says more in the same cell as the figure.
    """

    question: str
    measured: float
    unit: str
    against: str
    ratio: float | None
    at_least: float | None = None
    at_most: float | None = None
    beside: str = ""

    @property
    def aim_met(self) -> bool | None:
        """None where nothing was aimed at."""
        if self.ratio is None or (self.at_least is None and self.at_most is None):
            return None
        return (self.at_least is None or self.ratio >= self.at_least) and (
            self.at_most is None or self.ratio <= self.at_most
        )

    def cells(self) -> tuple[str, ...]:
        figure = f"{number(self.measured)} {self.unit}".strip() + (f" ({self.beside})" if self.beside else "")
        return (self.question, figure, self.against, "" if self.ratio is None else f"{self.ratio:.2f}", self._aim())

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "aim_met": self.aim_met}

    def _aim(self) -> str:
        if self.aim_met is None:
            return ""
        said = f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"
        return f"{said} {'met' if self.aim_met else 'missed'}"


def number(value: float) -> str:
    """Three digits that mean something, and no more than are needed."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def of_medians(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of each repetition's ratio: noise that hits both of a pair cancels out."""
    return median(our / their for our, their in zip(ours, theirs, strict=True))


def percentile(values: Iterable[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown that is also legible in a terminal."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    drawn = ["| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in lines]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([drawn[0], rule, *drawn[1:]])
