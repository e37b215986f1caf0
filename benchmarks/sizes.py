"""How much is measured. Quick answers show the order of magnitude; the table of the README is of the full ones."""

from __future__ import annotations

from dataclasses import dataclass

CONCURRENCY = 100
"""Jobs at a time, of our worker and of the peer's; as many as the raw loop reads at once."""


@dataclass(frozen=True)
class Sizes:
    """Counts, except ``idle_seconds``. ``repetitions`` are interleaved: each measures everything once.

    ``idle`` runs find no claim, and are many: they are quick, and a drain of less than a second is
    mostly its beginning and its end.
    """

    repetitions: int
    messages: int
    idle: int
    runs: int
    jobs: int
    claims: int
    delayed: int
    requests: int
    starts: int
    idle_seconds: float
    exported: int


FULL = Sizes(
    repetitions=3,
    messages=20_000,
    idle=10_000,
    runs=2_000,
    jobs=500,
    claims=10_000,
    delayed=100_000,
    requests=200,
    starts=10,
    idle_seconds=10,
    exported=500,
)
QUICK = Sizes(
    repetitions=1,
    messages=5_000,
    idle=2_000,
    runs=500,
    jobs=300,
    claims=2_000,
    delayed=20_000,
    requests=50,
    starts=3,
    idle_seconds=3,
    exported=500,
)
