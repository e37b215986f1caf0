"""Debian's packages, when we are root on Debian or Ubuntu: a server, and pg_cron for a server that lacks it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from dev.postgres import binaries
from dev.postgres.binaries import Binaries

NEWEST = 18
"""The newest major version to ask for by name."""

APT = ("apt-get", "-q", "-y", "-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=20")


def install() -> Binaries | None:
    """Install a server with pg_cron. None where that cannot be done: not root, not Debian, no network."""
    if not _can_install():
        return None
    _apt("update")
    offered = _offered()
    versions = [v for v in range(binaries.OLDEST, NEWEST + 1) if f"postgresql-{v}" in offered]
    both = [v for v in versions if f"postgresql-{v}-cron" in offered]
    if not versions:
        return None
    version = both[0] if both else versions[0]
    beside = (
        f"postgresql-{version}-cron",
        f"postgresql-{version}-plpgsql-check",
    )  # the latter for tests/sql/test_catalogue.py
    wanted = [f"postgresql-{version}", *(package for package in beside if package in offered)]
    print(f"Installing {' and '.join(wanted)}.", file=sys.stderr)
    return binaries.best() if _apt("install", "--no-install-recommends", *wanted) else None


def add_cron(found: Binaries) -> Binaries:
    """The same binaries, with pg_cron beside them if its package could be installed."""
    if not _can_install() or not found.folder.match("/usr/lib/postgresql/*/bin"):
        return found
    package = f"postgresql-{found.version}-cron"
    if package not in _offered():
        _apt("update")
    if package not in _offered():
        return found
    print(f"Installing {package}.", file=sys.stderr)
    _apt("install", "--no-install-recommends", package)
    return binaries.best() or found


def _can_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _offered() -> set[str]:
    names = subprocess.run(["apt-cache", "pkgnames", "postgresql-"], capture_output=True, text=True, check=False)
    return set(names.stdout.split())


def _apt(*arguments: str) -> bool:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run([*APT, *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(f"apt-get {arguments[0]} failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
    return done.returncode == 0
