"""Processes that are measured: each is a module of this folder, says a line when it is ready, and begins on a line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from benchmarks.grounds import Ground
from benchmarks.peer import URL
from benchmarks.sizes import CONCURRENCY


class Child:
    """A running process that speaks JSON, one value a line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def begin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        """The next value. Raises RuntimeError when the process ended instead."""
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            raise RuntimeError(f"A process that was measured ended with {self._process.wait()}; see above.")
        return json.loads(line)


class Stopwatch:
    """The child's side: says how long the block took, and how much CPU this process used in it; both in seconds."""

    def __enter__(self) -> None:
        self._began, self._used = time.monotonic(), time.process_time()

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        if failed is None:
            say({"seconds": time.monotonic() - self._began, "cpu": time.process_time() - self._used})


def environment(ground: Ground) -> dict[str, str]:
    """What every process that is measured finds: one server, one concurrency, no page, errors alone in its log."""
    ours = {"DATABASE_URL": ground.dsn, "BILAG_HTTP_PORT": "0", "BILAG_CONCURRENCY": str(CONCURRENCY)}
    return os.environ | ours | {URL: ground.dsn}


@contextmanager
def child(module: str, ground: Ground, *arguments: str) -> Iterator[Child]:
    """Run ``python -m benchmarks.<module>`` until it is ready; it is ended with the block."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(ground)
    ) as process:
        try:
            made = Child(process)
            made.hear()
            yield made
            with suppress(subprocess.TimeoutExpired):  # who has done its work is about to end by itself
                process.wait(0.5)
        finally:
            process.terminate()
            process.wait(40)


def say(value: Any) -> None:
    """The child's side: one line, at once."""
    print(json.dumps(value), flush=True)


def await_word() -> None:
    """The child's side: say that everything is open, and wait for the word."""
    say("ready")
    sys.stdin.readline()
