"""Who may do what: every relation and every function, tried by everybody, on their own organisation's rows and others'.

What is expected stands in ``matrix/relations.txt`` and ``matrix/functions.txt``, to be read and to be reviewed. A
relation or a function that is not there fails with the line to add; ``BILAG_MATRIX=write`` writes both files anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import unified_diff
from pathlib import Path

import pytest

from tests.fix_bilag import Bilag
from tests.sql.actors import ACTORS, Scene, staged
from tests.sql.attempts import Row, functions, relations

FOLDER = Path(__file__).parent / "matrix"
HEAD = {
    "relations.txt": """\
# What each actor reaches of each relation, found out by trying; tests/sql/test_matrix.py compares.
#
# -     refused                            none  allowed, but not one row
# part  some rows of their organisation    org   all rows of their organisation, and of no other
# all   every organisation's rows          *     some columns only
# rest  of select, insert, update, delete and truncate, those that are not above
#
# A table of bilag_internal and a sequence that is not here is the owner's alone.
""",
    "functions.txt": """\
# Whom each function serves, found out by calling it; tests/sql/test_matrix.py compares.
#
# -     may not be called                  none  may be called, and refuses
# org   serves their own organisation      all   serves every one
# view  policies and views call it for them; they cannot
#
# A function of bilag_internal that is not here is the owner's alone.
""",
}


@pytest.fixture
def scene(bilag: Bilag) -> Scene:
    return staged(bilag)


def printed(rows: Iterable[Row]) -> list[str]:
    table = [("", "", *ACTORS), *((name, what, *cells.values()) for name, what, cells in rows)]
    widths = [max(len(row[n]) for row in table) for n in range(len(table[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]


def compare(file: str, rows: Iterable[Row]) -> None:
    lines = printed(rows)
    path = FOLDER / file
    if os.environ.get("BILAG_MATRIX") == "write":
        path.write_text(HEAD[file] + "\n" + "\n".join(lines) + "\n", encoding="utf-8")
    text = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    # By words and in any order: whoever adds a line need not widen columns, nor find its place.
    expected = sorted(" ".join(line.split()) for line in text if line and not line.startswith("#"))
    found = sorted(" ".join(line.split()) for line in lines)
    table, difference = "\n".join(lines), "\n".join(unified_diff(expected, found, file, "as it is", lineterm="", n=0))
    mend = f"Mend the grant, or put the line into tests/sql/matrix/{file} (BILAG_MATRIX=write does)"
    assert expected == found, f"{table}\n\n{mend}:\n{difference}"


def test_each_relation_is_reached_by_whom_the_table_says_and_by_nobody_else(scene: Scene) -> None:
    compare("relations.txt", relations(scene))


def test_each_function_is_reached_by_whom_the_table_says_and_by_nobody_else(scene: Scene) -> None:
    compare("functions.txt", functions(scene))
