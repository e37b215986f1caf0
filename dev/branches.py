"""``python -m dev.branches``: what ``make test`` asks of the core of health checks, after pytest has measured it.

Exit 1 when less than 85 % of the branches of these modules were taken, all together or in one of them.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import coverage
from coverage.exceptions import NoDataError

LEAST = 85.0
CORE = ("worker/drain.py", "worker/errands.py", "worker/health_checks.py", "worker/loop.py", "worker/trades.py")


def main() -> int:
    measured = coverage.Coverage()
    measured.load()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        try:
            measured.json_report(include=list(CORE), outfile=str(report))
        except NoDataError:
            print("No coverage was measured: run pytest --cov first.")
            return 1
        return judge(json.loads(report.read_text(encoding="utf-8")))


def judge(report: Mapping[str, Any]) -> int:
    """Print the share of each module; 0 if all are good enough and none is missing."""
    shares = {name: share(found["summary"]) for name, found in report["files"].items()}
    shares["all of them"] = share(report["totals"])
    missing = [name for name in CORE if name not in shares]
    low = [name for name, percent in shares.items() if percent < LEAST]
    for name, percent in shares.items():
        print(f"{percent:6.1f} % of the branches of {name}{'  too few' if name in low else ''}")
    for name in missing:
        print(f"{name} was not measured")
    return 1 if low or missing else 0


def share(summary: Mapping[str, Any]) -> float:
    """In percent; a module without a branch has taken all of them."""
    branches = summary["num_branches"]
    return 100.0 * summary["covered_branches"] / branches if branches else 100.0


if __name__ == "__main__":
    sys.exit(main())
