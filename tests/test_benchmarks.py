"""The benchmarks run. What they measure is not judged here: that depends on the machine."""

from __future__ import annotations

import json
from dataclasses import replace

from benchmarks import latency
from benchmarks.rows import Row, of_medians, percentile, table
from benchmarks.sizes import QUICK
from dev.postgres import Server

SPEED = Row("how fast", 1234.5, "jobs/s", "a limit: 1,000 /s", 1.2345, at_least=0.5)


def test_a_question_is_answered_on_a_real_server(server: Server) -> None:
    rows = latency.answer(server, replace(QUICK, requests=3))

    assert [row.question for row in rows] == [
        "commit to handler, p50",
        "commit to handler, p50",
        "commit to handler, p95",
    ]
    assert all(row.measured > 0 and row.ratio for row in rows)
    assert json.loads(json.dumps([row.as_json() for row in rows]))


def test_the_table_says_whether_an_aim_was_met() -> None:
    missed = replace(SPEED, ratio=0.25, beside="3 commits each")
    without_aim = replace(SPEED, at_least=None)

    lines = table([SPEED, missed, without_aim]).splitlines()

    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[2] == ["how fast", "1,234 jobs/s", "a limit: 1,000 /s", "1.23", "≥ 0.5 met"]
    assert cells[3][1] == "1,234 jobs/s (3 commits each)"
    assert [row[4] for row in cells[3:]] == ["≥ 0.5 missed", ""]


def test_an_aim_may_be_a_most() -> None:
    slow = replace(SPEED, at_least=None, at_most=1)

    assert slow.aim_met is False
    assert replace(slow, ratio=0.9).aim_met is True


def test_a_ratio_is_the_median_of_the_repetitions_own() -> None:
    assert of_medians([10, 30, 90], [20, 30, 30]) == 1


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile(range(100), 0.95) == 95
    assert percentile([7.0], 0.5) == 7
