"""Fetching a run's file at a shell."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from tests.fix_bilag import Organisation
from tests.fix_shell import Shell
from tests.sql.file_worker import FileWorker, file_of


@pytest.fixture
def run(club: Organisation, files: FileWorker) -> str:
    """A run of one claim, at its end."""
    club.claim("C-1")
    asked = club.request(kind="file")
    files.export()
    return str(asked)


def test_a_file_is_printed_written_into_a_folder_under_its_own_name_or_to_a_path(
    bilag_shell: Shell, club: Organisation, run: str, tmp_path: Path
) -> None:
    content = file_of(club, run)
    assert content is not None
    assert bilag_shell("file", run).out.encode() == content
    name = f"file-2026-03-02-{run[:8]}.csv"
    said = bilag_shell("file", run, "--output", str(tmp_path))
    assert said.out.startswith(f"{tmp_path / name}: {len(content)} bytes, sha256 ")
    assert (tmp_path / name).read_bytes() == content
    told = bilag_shell("file", run, "--output", str(tmp_path / "mine.csv"), "--json").json
    assert (tmp_path / "mine.csv").read_bytes() == content
    assert told["name"] == name


def test_what_is_there_is_not_overwritten_and_what_is_not_there_is_a_sentence(
    bilag_shell: Shell, run: str, tmp_path: Path
) -> None:
    taken = tmp_path / "taken.csv"
    taken.write_text("mine")
    said = bilag_shell("file", run, "--output", str(taken))
    assert (said.code, said.err) == (1, f"bilag: {taken} exists already.\n")
    assert taken.read_text() == "mine"
    missing = bilag_shell("file", run, "--output", str(tmp_path / "nowhere" / "x.csv"))
    assert (missing.code, missing.err.count("\n")) == (1, 1)
    for unknown in (str(uuid4()), "nonsense"):
        said = bilag_shell("file", unknown)
        assert (said.code, said.err.count("\n")) == (1, 1)


def test_export_wait_says_how_to_fetch_the_file(bilag_shell: Shell, club: Organisation, run: str) -> None:
    from worker.cli.exports import _ending

    ending = _ending(club.status(run))  # type: ignore[arg-type]
    assert ending.endswith(f" Its file: bilag file {run} --output file-2026-03-02-{run[:8]}.csv")
