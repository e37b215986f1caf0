"""Which server it shall be, in the order that ``dev/postgres/__init__.py`` gives."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dev.postgres import binaries, packages
from dev.postgres.binaries import Binaries
from dev.postgres.cluster import Cluster
from dev.postgres.server import Server

SOURCES = ("url", "binaries", "docker", "packages")


class PostgresMissing(RuntimeError):
    """No Postgres can be had here. Its text is one sentence that says what to install."""


@contextmanager
def throw_away(
    *,
    cron_database: str | None = "bilag",
    durable: bool = False,
    settings: Mapping[str, str] | None = None,
    ours: bool = False,
) -> Iterator[Server]:
    """A server for as long as the block runs.

    ``cron_database`` is made, and pg_cron runs in it, where the server has pg_cron. ``durable`` writes as a
    production server does (benchmarks want that). ``settings`` are further server settings, for a cluster of our own.
    ``ours`` asks for a server that may be stopped and started: DATABASE_URL is passed over.
    """
    allowed = _allowed(ours=ours)
    if "url" in allowed and (url := os.environ.get("DATABASE_URL")):
        from dev.postgres.given import Given

        given = Given(url)
        try:
            yield given
        finally:
            given.leave()
        return
    found = local_binaries(allowed)
    if found is None and "docker" in allowed and _docker_answers():
        from dev.postgres.container import run

        with run(cron_database) as container:
            yield container
        return
    if found is None and "packages" in allowed:
        found = packages.install()
    if found is None:
        raise PostgresMissing(_what_to_install(allowed))
    cluster = Cluster.make(found, cron_database=cron_database, durable=durable, settings=settings)
    try:
        yield cluster
    finally:
        cluster.bury()


def local_binaries(allowed: tuple[str, ...] = SOURCES) -> Binaries | None:
    """Server binaries of this machine, given pg_cron if they lack it and it can be had."""
    found = binaries.best() if "binaries" in allowed else None
    if found is not None and not found.has_cron:
        found = packages.add_cron(found)
        if not found.has_cron:
            print(f"Without pg_cron: install it for {found.folder} to see schedules tick.", file=sys.stderr)
    return found


def _allowed(*, ours: bool) -> tuple[str, ...]:
    only = os.environ.get("BILAG_POSTGRES")
    if only is not None and only not in SOURCES:
        raise PostgresMissing(f"BILAG_POSTGRES is {only!r}: it must be one of {', '.join(SOURCES)}.")
    chosen = SOURCES if only is None else (only,)
    return tuple(source for source in chosen if not (ours and source == "url")) or ("binaries", "docker", "packages")


def _docker_answers() -> bool:
    from dev.postgres.container import docker_answers

    return docker_answers()


def _what_to_install(allowed: tuple[str, ...]) -> str:
    if allowed == ("url",):
        return "BILAG_POSTGRES asks for a given server, but DATABASE_URL is not set."
    return (
        "No Postgres 15 or later was found: install the packages postgresql and postgresql-15-cron (Debian, Ubuntu; "
        "as root this is done for you) or postgresql@17 (Homebrew), start Docker, or set DATABASE_URL to a server in "
        "which databases may be made."
    )
