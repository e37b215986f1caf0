"""Server binaries on this machine: where they may lie, and which of them to take."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OLDEST = 15
"""The oldest major version that Bilag supports."""

PLACES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # the PGDG's packages for Red Hat and its kin
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
NEEDED = ("initdb", "pg_ctl", "postgres")


@dataclass(frozen=True, slots=True, order=True)
class Binaries:
    """One installed server. Ordered by what we would rather have: pg_cron first, then the newest."""

    has_cron: bool
    version: int
    folder: Path

    def path(self, program: str) -> str:
        return str(self.folder / program)


def best() -> Binaries | None:
    """The binaries to use, or None. ``BILAG_POSTGRES_BIN`` names them itself, and is then the only place looked at."""
    named = os.environ.get("BILAG_POSTGRES_BIN")
    folders = [Path(named)] if named else _folders()
    return max((found for folder in folders if (found := _look(folder))), default=None)


def _folders() -> Iterator[Path]:
    for place in PLACES:
        yield from sorted(Path("/").glob(place.lstrip("/")))
    if (on_path := shutil.which("postgres")) is not None:
        yield Path(on_path).resolve().parent
    if shutil.which("pg_config") is not None and (bindir := _asked("pg_config", "--bindir")):
        yield Path(bindir)


def _look(folder: Path) -> Binaries | None:
    if not all(os.access(folder / program, os.X_OK) for program in NEEDED):
        return None
    version = re.search(r"\) (\d+)", _asked(str(folder / "postgres"), "--version"))
    if version is None or int(version[1]) < OLDEST:
        return None
    return Binaries(has_cron=_has_cron(folder), version=int(version[1]), folder=folder)


def _has_cron(folder: Path) -> bool:
    libraries = {folder.parent / "lib"}
    if asked := _asked(str(folder / "pg_config"), "--pkglibdir"):
        libraries.add(Path(asked))
    return any((library / f"pg_cron.{suffix}").exists() for library in libraries for suffix in ("so", "dylib"))


def _asked(*command: str) -> str:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()
