"""The gate of branch coverage: it lets good figures pass, and no others."""

from __future__ import annotations

from typing import Any

import pytest

from dev.branches import CORE, judge


def report(covered: int, *, missing: bool = False) -> dict[str, Any]:
    full = {"num_branches": 100, "covered_branches": 100}
    files = {name: {"summary": full} for name in CORE[1:]}
    if not missing:
        files[CORE[0]] = {"summary": {"num_branches": 100, "covered_branches": covered}}
    return {"files": files, "totals": full}


@pytest.mark.parametrize(("covered", "code"), [(85, 0), (84, 1)])
def test_one_module_below_85_percent_fails_however_good_the_others_are(
    covered: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judge(report(covered)) == code
    assert ("too few" in capsys.readouterr().out) == bool(code)


def test_a_module_that_was_not_measured_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert judge(report(100, missing=True)) == 1
    assert f"{CORE[0]} was not measured" in capsys.readouterr().out


def test_a_module_without_branches_has_taken_all_of_them() -> None:
    made = report(100)
    made["files"][CORE[0]] = {"summary": {"num_branches": 0, "covered_branches": 0}}
    assert judge(made) == 0
