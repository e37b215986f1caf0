"""``bilag health``: the day of each connection, for people and for programs."""

from __future__ import annotations

import pytest
from rich.console import Console

from tests.fix_bilag import Bilag, Organisation
from tests.fix_shell import Shell
from tests.sql.health_worker import DEAD, WELL, health_worker
from worker.cli.health import draw


def lived(bilag: Bilag) -> None:
    watch = health_worker(bilag)
    for answer in (WELL, WELL, DEAD):
        bilag.advance(minutes=16)
        watch.round(answer)


def test_it_shows_the_status_and_draws_the_day(bilag_shell: Shell, bilag: Bilag, org: Organisation) -> None:
    lived(bilag)
    said = bilag_shell("health", str(org.id))
    assert said.code == 0
    first, second = said.out.rstrip("\n").split("\n")
    assert first.startswith("Testlaget  xledger  unreachable  available ")
    assert "p50 42 ms, p95 42 ms" in first
    assert first.endswith("no answer")
    assert second.endswith("██× now")
    assert second.count("·") == 93


def test_a_connection_that_nobody_checked_yet_says_so(bilag_shell: Shell, org: Organisation) -> None:
    assert bilag_shell("health").out.startswith("Testlaget  xledger  not checked yet\n")


def test_without_an_organisation_all_are_shown_and_with_one_only_its_own(
    bilag_shell: Shell, bilag: Bilag, org: Organisation
) -> None:
    bilag.organisation("Nabolaget")
    assert [row["organization"] for row in bilag_shell("health", "--json").json] == ["Nabolaget", "Testlaget"]
    (row,) = bilag_shell("health", str(org.id), "--json").json
    assert {"status", "trend", "availability", "latency_p50_ms", "latency_p95_ms", "marks"} <= set(row)
    assert bilag_shell("health", "nobody").err.startswith("bilag: There is no organisation 'nobody'")


def test_with_no_integration_at_all_one_sentence_says_what_to_do(bilag_shell: Shell) -> None:
    assert bilag_shell("health").out == "There is no integration: insert one into bilag.integration_config.\n"


@pytest.mark.parametrize(
    ("status", "mark", "code"), [("healthy", "h", 32), ("degraded", "d", 33), ("unreachable", "u", 31)]
)
def test_a_terminal_shows_it_in_colour(status: str, mark: str, code: int) -> None:
    row = {
        "organization": "Testlaget", "integration_type": "xledger", "status": status, "latency_ms": 1,
        "availability": None, "latency_p50_ms": None, "health_mode": "passive", "checked_at": None,
        "error_message": None, "trend": "▁" + " " * 95, "marks": mark + " " * 95,
    }  # fmt: skip
    screen = Console(force_terminal=True, color_system="standard", width=200)
    with screen.capture() as captured:
        screen.print(draw([row]))
    assert f"\x1b[{code}m{status}" in captured.get()
    assert f"\x1b[{code}m▁" in captured.get()
    assert "passive" in captured.get()
