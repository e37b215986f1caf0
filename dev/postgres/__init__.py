"""A throw-away Postgres: real, on a free port, up in about a second, and gone afterwards.

Tests, demo, benchmarks and ``make up`` all get their server here. It is, in this order:

1. the server of ``DATABASE_URL``, if that is set: databases of our own are made in it, and dropped;
2. server binaries of this machine, 15 or later (``BILAG_POSTGRES_BIN`` names a folder of them);
3. the compose file's image, run by Docker through testcontainers;
4. Debian's packages, installed when this process is root on Debian or Ubuntu.

``BILAG_POSTGRES`` set to ``url``, ``binaries``, ``docker`` or ``packages`` allows that one alone. If none can be
had, one sentence says what to install.

A server that we started ourselves outlives neither an exception nor a signal: an undertaker in a session of its own
waits for this process to end, however it ends, and clears it away (``cluster.py``; testcontainers brings its own).
"""

from __future__ import annotations

from dev.postgres.binaries import Binaries
from dev.postgres.cluster import Cluster
from dev.postgres.search import PostgresMissing, throw_away
from dev.postgres.server import Server

__all__ = ["Binaries", "Cluster", "PostgresMissing", "Server", "throw_away"]
