"""What ``make up`` left running, written down in ``.bilag/stack.json`` so that ``make down`` finds it again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from dev.postgres import Binaries, Cluster

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".bilag"
FILE = FOLDER / "stack.json"

DATABASE = "bilag"

ENDS_WITHIN_SECONDS = 35
"""A worker's grace period, and a little."""


class Running:
    """A server that outlives the command that started it, and the processes started beside it."""

    def __init__(self, cluster: Cluster, processes: Mapping[str, int] | None = None) -> None:
        self.cluster = cluster
        self.processes = dict(processes or {})

    @property
    def dsn(self) -> str:
        return self.cluster.dsn(DATABASE)

    def answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.dsn, connect_timeout=3).close()
        except psycopg.OperationalError:
            return False
        return True

    def add(self, module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        """Run ``python -m module …`` until the stack goes down; what it prints is in ``.bilag/<module>.log``."""
        with (FOLDER / f"{module}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                env=os.environ | dict(environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes[module] = process.pid
        self.write()

    def end(self) -> None:
        """End the processes in the reverse order of their start, then the server; forget them."""
        for module, pid in reversed(self.processes.items()):
            _end(module, pid)
        self.cluster.bury()
        FILE.unlink(missing_ok=True)

    def write(self) -> None:
        FOLDER.mkdir(exist_ok=True)
        noted = {
            "home": str(self.cluster.home),
            "port": self.cluster.port,
            "cron_database": self.cluster.cron_database,
            "binaries": [self.cluster.binaries.has_cron, self.cluster.binaries.version],
            "folder": str(self.cluster.binaries.folder),
            "processes": self.processes,
        }
        FILE.write_text(json.dumps(noted, indent=2) + "\n", encoding="utf-8")


def read() -> Running | None:
    """What the last ``up`` wrote down, whether it still runs or not."""
    try:
        noted = json.loads(FILE.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    has_cron, version = noted["binaries"]
    binaries = Binaries(has_cron, version, Path(noted["folder"]))
    return Running(Cluster(binaries, Path(noted["home"]), noted["port"], noted["cron_database"]), noted["processes"])


def _end(module: str, pid: int) -> None:
    """SIGTERM, the time to finish what is in flight, then SIGKILL."""
    for ending, patience in ((signal.SIGTERM, ENDS_WITHIN_SECONDS), (signal.SIGKILL, 5)):
        if not _is_ours(module, pid):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, ending)
        deadline = time.monotonic() + patience
        while _is_ours(module, pid) and time.monotonic() < deadline:
            time.sleep(0.05)


def _is_ours(module: str, pid: int) -> bool:
    """Whether that process still is what we started: a number comes round again."""
    if Path("/proc/self/cmdline").exists():  # a small image has no ps
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return False
    else:
        asked = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
        command = asked.stdout
    return f"-m {module}" in command
