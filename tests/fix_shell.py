"""A shell in which ``bilag`` is run, in this process: its exit code, what it printed, what it complained of."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.fix_postgres import Database as Installed
from worker import cli, telemetry


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Shell = Callable[..., Said]


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """Run ``bilag`` with these words; ``stdin`` is what it is given to read. No database is set.

    What the command changed for its whole process, the logging, is as before when the test ends.
    """
    for name in ("DATABASE_URL", "DATABASE_URL_FILE", "BILAG_MIGRATE_URL", "BILAG_LISTEN_URL"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str, stdin: str = "") -> Said:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as exit_:
            cli.main(words)
        told = capsys.readouterr()
        return Said(int(exit_.value.code or 0), told.out, told.err)

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield run
    telemetry.configure()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def bilag_shell(shell: Shell, database: Installed, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """The same, with DATABASE_URL set to this test's own migrated database."""
    monkeypatch.setenv("DATABASE_URL", database.dsn)
    return shell
