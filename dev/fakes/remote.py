"""The fakes in another process: started, scripted, and asked, over their control API."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class RemoteFake:
    """One fake behind a control API. Every verb of its dial, and of its accountant, goes through :meth:`do`."""

    def __init__(self, base: str, key: str) -> None:
        self._control = f"{base}/control/{key}"
        self.url = str(self.state()["url"])

    def do(self, verb: str, **arguments: Any) -> Any:
        """Script a fault or play the accountant: ``do("fail_next", status=429, after=30)``."""
        return self._call("", {"do": verb, "with": arguments})["result"]

    def set(self, **switches: Any) -> None:
        """Set switches, such as ``latency=0.15``."""
        self._call("/set", switches)

    def add_owner(self, token: str, name: str = "Frivillig Norge", code: str | None = None) -> str:
        """A legal entity reached by this token; returns its code."""
        return str(self._call("/owners", {"token": token, "name": name, "code": code})["code"])

    def state(self) -> dict[str, Any]:
        """Calls by operation, unused faults, switches, and how much is booked and queued."""
        found: dict[str, Any] = self._call("")
        return found

    def vouchers(self, owner: str | None = None) -> list[dict[str, Any]]:
        """What was really booked, as JSON."""
        found: list[dict[str, Any]] = self._call("/ledger" + (f"?owner={owner}" if owner else ""))
        return found

    def check(self, expected: Iterable[str], owner: str | None = None) -> dict[str, Any]:
        """``missing``, ``doubled``, ``unexpected`` and ``unbalanced`` against the references that should be there."""
        found: dict[str, Any] = self._call("/ledger/check", {"expected": list(expected), "owner": owner})
        return found

    def _call(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._control + path, data=data)  # noqa: S310  # our own stand-in, over http
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # as above
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise ValueError(json.load(error)["error"]) from None


@contextmanager
def running(*arguments: str, python: str = sys.executable) -> Iterator[str]:
    """Run ``python -m dev.fakes`` in a process of its own on a free port; gives its base URL, stops it afterwards."""
    command: Sequence[str] = (python, "-m", "dev.fakes", "--port", "0", *arguments)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline().strip() if process.stdout else ""
            if not line.startswith("http"):
                raise RuntimeError("The fake accounting systems did not start.")
            yield line
        finally:
            process.terminate()
            process.wait(10)
