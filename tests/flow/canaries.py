"""Canaries: credentials whose every trace can be looked for, and the places in which one might be left."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus
from uuid import uuid4

import psycopg
from psycopg import sql

from tests.flow.installation import Installation
from worker.places import SQL

_RELATIONS = """
    select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm') and n.nspname !~ '^(pg_|information_schema)'
      and not (n.nspname = 'vault' and c.relname in ('secrets', 'decrypted_secrets'))
    order by 1, 2"""
_ACTIVITY = "select string_agg(concat_ws(' ', query, application_name, state), E'\\n') from pg_stat_activity"
_COMMANDS = (("status",), ("claim",), ("health",), ("dead-letters", "list"), ("doctor",))


def canary() -> str:
    """A credential that no other text looks like, with everything that an encoding would change."""
    return f'C4/n+{uuid4().hex}"=&%{uuid4().hex}'


def forms(secret: str) -> set[bytes]:
    """How it might be written: plain, as JSON, URL-encoded, in base64 at each offset, in hexadecimal; whole or cut."""
    found: set[str] = set()
    for piece in (secret, secret[:20], secret[-20:]):
        found |= {piece, json.dumps(piece)[1:-1], quote(piece, safe=""), quote_plus(piece), quote(piece)}
        found |= {piece.encode().hex(), piece.encode().hex().upper()}
        for offset in range(3):
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                inner = encode(b"\0" * offset + piece.encode()).decode()
                found.add(inner[4 if offset else 0 : len(inner) // 4 * 4 - 4])
    return {form.encode() for form in found}


class Sinks:
    """Everything that was written or shown while canaries were in use. ``searched`` names each place."""

    def __init__(self, here: Installation) -> None:
        self._here = here
        self.searched: dict[str, int] = {}
        self._seen: dict[str, list[bytes]] = {}

    def keep(self, name: str, content: bytes) -> None:
        self._seen.setdefault(name, []).append(content)

    @contextmanager
    def watching(self, *pages: str) -> Iterator[None]:
        """Look again and again at what is only there for a moment: sessions, processes, the worker's pages."""
        over = threading.Event()
        watch = threading.Thread(target=self._watch, args=(over, pages))
        watch.start()
        try:
            yield
        finally:
            over.set()
            watch.join()

    def _watch(self, over: threading.Event, pages: tuple[str, ...]) -> None:
        with psycopg.connect(self._here.database.dsn, autocommit=True) as connection:
            while not over.wait(0.02):
                ((activity,),) = connection.execute(_ACTIVITY).fetchall()
                self.keep("pg_stat_activity", (activity or "").encode())
                for process in Path("/proc").glob("[0-9]*/cmdline"):
                    try:
                        self.keep("process list", process.read_bytes())
                    except OSError:
                        continue
                for page in pages:
                    try:
                        with urllib.request.urlopen(page, timeout=5) as answer:  # noqa: S310 - a page of our own
                            self.keep(f"page {page.rpartition('/')[2]}", answer.read())
                    except OSError:
                        continue

    def gather(self, folder: Path) -> None:
        """Take what was kept: tables, views, a dump, the server's files and log, workers' logs, what commands print."""
        with psycopg.connect(self._here.database.dsn, autocommit=True) as connection:
            for schema, name in connection.execute(_RELATIONS).fetchall():
                every = sql.SQL("select coalesce(string_agg(t::text, E'\\n'), '') from {} as t")
                ((text,),) = connection.execute(every.format(sql.Identifier(schema, name))).fetchall()
                self.keep(f"{schema}.{name}", text.encode())
            ((data, oid),) = connection.execute(
                "select current_setting('data_directory'), oid from pg_database where datname = current_database()"
            ).fetchall()
        dump = subprocess.run(["pg_dump", self._here.database.dsn], capture_output=True, check=True)
        self.keep("pg_dump", dump.stdout)
        for place in (f"base/{oid}", "pg_wal", "pg_stat", "pg_stat_tmp"):
            for file in (Path(data) / place).rglob("*"):
                if file.is_file():
                    self.keep(f"data directory {place}", file.read_bytes())
        for file in folder.rglob("*"):
            if file.is_file():
                self.keep("workers' logs", file.read_bytes())
        self.keep("server's log", (Path(data).parent / "server.log").read_bytes())

    def print_by(self, environment: Mapping[str, str], org: str) -> None:
        """What the commands of ``bilag`` print, on both streams."""
        for words in _COMMANDS:
            given = [*words, org, "C-0001"] if words == ("claim",) else [*words]
            for option in ([], ["--json"]):
                said = subprocess.run(
                    [sys.executable, "-m", "worker", *given, *option],
                    cwd=SQL.parent,
                    env=environment,
                    capture_output=True,
                    check=False,
                )
                self.keep(f"bilag {' '.join(words)}", said.stdout + said.stderr)

    def hits(self, secrets: dict[str, str]) -> list[tuple[str, str, str]]:
        """Where which canary is, in which form."""
        found: list[tuple[str, str, str]] = []
        looked_for = {name: forms(secret) for name, secret in secrets.items()}
        for sink, contents in self._seen.items():
            self.searched[sink] = sum(map(len, contents))
            for content in set(contents):
                for name, wanted in looked_for.items():
                    found += [(sink, name, form.decode()) for form in wanted if form in content]
        return found

    def told(self, secrets: dict[str, str]) -> dict[str, Any]:
        return {
            "sinks": len(self.searched),
            "bytes": sum(self.searched.values()),
            "canaries": len(secrets),
            "forms": sum(len(forms(secret)) for secret in secrets.values()),
        }
