"""The one time limit that tests judge: 500 claims within 8 seconds (requirement D3)."""

from __future__ import annotations

from collections.abc import Callable

BUDGET_SECONDS = 8.0
ATTEMPTS = 3


def keep_budget(attempt: Callable[[int], float]) -> None:
    """Fail when no attempt stays within the budget. An attempt gets its number and returns the seconds that it took.

    What else a machine does can only add to a measurement: the fastest one is nearest to what the system needs.
    """
    took: list[float] = []
    while not took or (min(took) > BUDGET_SECONDS and len(took) < ATTEMPTS):
        took.append(attempt(len(took)))
    assert min(took) <= BUDGET_SECONDS, f"{', '.join(f'{seconds:.1f} s' for seconds in took)} of {BUDGET_SECONDS:.0f} s"
