"""The demo's own judgement: what it must not call right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dev.demo.show import Count

RIGHT = Count("Laget", "file", "RPC", approved=10, unbookable=1, rejected=1, booked=9, missing=0, doubled=0)


def test_every_claim_booked_or_meant_to_be_rejected_is_right() -> None:
    assert RIGHT.right


@pytest.mark.parametrize(
    "wrong",
    [{"missing": 1}, {"doubled": 1}, {"booked": 8}, {"booked": 10}, {"rejected": 2, "booked": 8}, {"rejected": 0}],
    ids=str,
)
def test_anything_missing_doubled_or_rejected_without_being_meant_is_not(wrong: dict[str, int]) -> None:
    assert not replace(RIGHT, **wrong).right  # type: ignore[arg-type]  # the numbers alone are replaced
