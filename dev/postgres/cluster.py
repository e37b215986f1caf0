"""A cluster of our own, made from server binaries in a folder that goes when this process goes."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from dev.postgres.binaries import Binaries
from dev.postgres.server import RestartMode, Server

CRASH_IS_FINE = {"fsync": "off", "full_page_writes": "off"}
"""A throw-away server need not survive a power cut. It must survive its own crash (``immediate``), so
``synchronous_commit`` stays as it is."""

UNDERTAKER = """
trap '' HUP INT TERM
cat > /dev/null
read -r pid < "$1/data/postmaster.pid"
kill -QUIT "$pid"
for _ in $(seq 200); do
    [ -e "$1/data/postmaster.pid" ] && kill -0 "$pid" || break
    sleep 0.02
done
for _ in $(seq 20); do
    rm -rf "$1" && break
    sleep 0.2
done
"""
"""Waits for the end of its input, which comes when the process that holds the other end is gone. Then clears away.

It looks at the pid file and not at the process alone: where nobody reaps, a dead server stays a zombie that answers."""


class PostgresFailed(RuntimeError):
    """A server program ended with an error; the message ends with the last lines of its log."""


class Cluster(Server):
    """One data directory, one port, one socket, all inside ``home``."""

    def __init__(self, binaries: Binaries, home: Path, port: int, cron_database: str | None) -> None:
        self.binaries = binaries
        self.home = home
        self.port = port
        self.cron_database = cron_database
        self.socket_dir = home
        self.data_dir = home / "data"
        self.log_path = home / "server.log"
        self._undertaker: subprocess.Popen[bytes] | None = None

    @classmethod
    def make(
        cls,
        binaries: Binaries,
        *,
        cron_database: str | None,
        durable: bool = False,
        settings: Mapping[str, str] | None = None,
        outlives_us: bool = False,
    ) -> Cluster:
        """Make a cluster and start it. Unless it ``outlives_us``, it is buried with this process at the latest."""
        # /tmp by name: a socket's path must fit 107 bytes, which a private TMPDIR may already fill
        home = Path(tempfile.mkdtemp(prefix="bilag-", dir="/tmp"))
        cluster = cls(binaries, home, free_port(), cron_database if binaries.has_cron else None)
        if not outlives_us:
            cluster._undertaker = cluster._hire_undertaker()
        cluster.copies_files = not durable
        try:
            cluster._initialise(({} if durable else CRASH_IS_FINE) | dict(settings or {}))
            cluster.start()
            if cluster.cron_database is not None:
                cluster.create_database(cluster.cron_database)
        except BaseException:
            cluster.bury()
            raise
        return cluster

    def dsn(self, database: str = "postgres", user: str | None = None) -> str:
        return f"postgresql://{user or 'postgres'}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        self._run("pg_ctl", "start", "-w", "-t", "60", "-s", "-D", str(self.data_dir), "-l", str(self.log_path))

    def stop(self, mode: RestartMode = "fast") -> None:
        self._run("pg_ctl", "stop", "-w", "-t", "60", "-s", "-m", mode, "-D", str(self.data_dir))

    def bury(self) -> None:
        """Stop it at once and remove every trace."""
        undertaker = self._undertaker or self._hire_undertaker()
        undertaker.communicate()

    def _hire_undertaker(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["/bin/sh", "-c", UNDERTAKER, "undertaker", str(self.home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # out of reach of a Ctrl-C meant for us
        )

    def _initialise(self, settings: Mapping[str, str]) -> None:
        key = self.home / "vault.key"
        key.write_text(secrets.token_hex(32) + "\n", encoding="ascii")
        key.chmod(0o600)
        if (account := _account()) is not None:
            for path in (self.home, key):
                os.chown(path, account.pw_uid, account.pw_gid)
        locale = "C.UTF-8" if sys.platform == "linux" else "C"
        self._run(
            *("initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8"),
            *(f"--locale={locale}", "-D", str(self.data_dir)),
        )
        with (self.data_dir / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in self._settings(key, settings).items())

    def _settings(self, key: Path, settings: Mapping[str, str]) -> dict[str, str]:
        cron = {
            "shared_preload_libraries": "pg_cron",
            "cron.database_name": self.cron_database or "",
            "cron.host": str(self.socket_dir),
        }
        return {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_dir),
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "bilag.vault_key_file": str(key),
            **(cron if self.cron_database is not None else {}),
            **settings,
        }

    def _run(self, program: str, *arguments: str) -> None:
        account = _account()
        done = subprocess.run(
            [self.binaries.path(program), *arguments],
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            user=None if account is None else account.pw_uid,
            group=None if account is None else account.pw_gid,
            extra_groups=None if account is None else [],
        )
        if done.returncode != 0:
            log = self.log_path.read_text(encoding="utf-8").splitlines()[-10:] if self.log_path.exists() else []
            raise PostgresFailed("\n".join([f"{program} failed: {done.stderr.strip()}", *log]))


def _account() -> pwd.struct_passwd | None:
    """Who runs the server when we are root, which Postgres refuses to be. None: ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresFailed("Postgres does not run as root, and there is no user `postgres` or `nobody` to run it.")


def free_port() -> int:
    """A free port below those of outgoing connections, any of which could take it between a stop and a start."""
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise PostgresFailed("No port from 20000 to 31999 is free: end what holds them.")
