"""Real workers: each a process of its own, killed, frozen and stopped like one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from tests.flow.patience import until
from worker.places import SQL

COMMON = {
    "BILAG_POLL_SECONDS": "0.1",
    "BILAG_HTTP_PORT": "0",
    "BILAG_ALLOWED_HTTP_HOSTS": "127.0.0.1",
}
CALM = COMMON | {"BILAG_LEASE_SECONDS": "30", "BILAG_HTTP_TIMEOUT_SECONDS": "10", "BILAG_DELIVERY_SECONDS": "60"}
"""For stories in which no lease ends and nothing times out, on however slow a machine."""
HASTY = COMMON | {"BILAG_LEASE_SECONDS": "6", "BILAG_HTTP_TIMEOUT_SECONDS": "3", "BILAG_DELIVERY_SECONDS": "20"}
"""Nearly the shortest lease and timeout that are allowed: what takes a minute in the field takes seconds here."""


class WorkerProcess:
    """``bilag worker`` in a process of its own. What it logs is in ``events()``."""

    def __init__(self, dsn: str, folder: Path, *arguments: str, environment: Mapping[str, str]) -> None:
        self.log = folder / f"worker-{uuid4().hex[:8]}.log"
        with self.log.open("wb") as sink:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "worker", "worker", *arguments],
                cwd=SQL.parent,
                env=_inherited() | {"DATABASE_URL": dsn} | dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL; returns when it is dead."""
        self._process.kill()
        self._process.wait(10)

    def terminate(self) -> None:
        self._process.terminate()

    def freeze(self) -> None:
        """SIGSTOP; returns when it stands still."""
        os.kill(self.pid, signal.SIGSTOP)
        until("the worker stands still", self._stands_still)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def ended(self, seconds: float = 120) -> int:
        """Wait for its end; its exit code."""
        return self._process.wait(seconds)

    def stop(self) -> int:
        """Ask it to stop, and wait until it has."""
        self.terminate()
        return self.ended()

    def events(self, name: str) -> list[dict[str, Any]]:
        """What it logged under this name, such as ``worker.started``."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [found for line in lines if line.startswith("{") and (found := json.loads(line)).get("event") == name]

    def said(self, name: str) -> dict[str, Any]:
        """Wait until it logs an event of this name."""
        return until(f"the worker logs {name}", lambda: self.events(name), told=self.log.read_text)[0]

    def _stands_still(self) -> bool:
        state = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        return state in "Tt"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.alive:
            self.kill()


def _inherited() -> dict[str, str]:
    """Our environment without what is meant for another worker."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("BILAG_", "DATABASE_URL"))}
