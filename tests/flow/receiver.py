"""A webhook's receiver: a process of its own, which verifies with nothing of ours, and misbehaves when it is told to.

``python -m tests.flow.receiver FOLDER SECRET``: its port is written to FOLDER/port, what it got to FOLDER/got (JSON
lines), and how it is to answer is read for each request from FOLDER/moods, the first word of which is used up unless
it is the last.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.flow.patience import until


class Receiver:
    """The test's end of such a process."""

    def __init__(self, folder: Path, secret: str) -> None:
        self._folder = folder
        folder.mkdir()
        self.moods("ok")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.flow.receiver", str(folder), secret], cwd=Path(__file__).parents[2]
        )
        self.url = f"http://127.0.0.1:{until('the receiver listens', self._port)}/hook?x=1"

    def moods(self, *words: str) -> None:
        (self._folder / "moods").write_text(" ".join(words))

    def got(self, kind: str | None = None) -> list[dict[str, Any]]:
        """All requests, of one type of event."""
        file = self._folder / "got"
        lines = file.read_text().splitlines() if file.exists() else []
        return [found for line in lines if (found := json.loads(line)) and kind in (None, found["body"].get("type"))]

    def accepted(self, kind: str) -> list[dict[str, Any]]:
        return [request for request in self.got(kind) if request["mood"] == "ok"]

    def _port(self) -> str:
        file = self._folder / "port"
        return file.read_text() if file.exists() else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(10)


class Handler(BaseHTTPRequestHandler):
    folder: Path
    secret: bytes

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        stamp = self.headers["webhook-timestamp"]
        signed = b".".join([self.headers["webhook-id"].encode(), stamp.encode(), body])
        right = base64.b64encode(hmac.new(self.secret, signed, hashlib.sha256).digest()).decode()
        given = [part.split(",", 1)[1] for part in self.headers["webhook-signature"].split() if part.startswith("v1,")]
        mood = self._mood()
        request = {
            "id": self.headers["webhook-id"],
            "path": self.path,
            "mood": mood,
            "verified": any(hmac.compare_digest(right, one) for one in given),
            "age": time.time() - int(stamp),
            "body": json.loads(body),
        }
        with (self.folder / "got").open("a") as sink:
            sink.write(json.dumps(request) + "\n")
        getattr(self, f"_{mood}")()

    def do_GET(self) -> None:
        """Where a redirect would lead."""
        with (self.folder / "got").open("a") as sink:
            sink.write(json.dumps({"id": None, "mood": "followed", "body": {}}) + "\n")
        self._ok()

    def log_message(self, *_args: object) -> None:
        pass

    def _mood(self) -> str:
        file = self.folder / "moods"
        first, *rest = file.read_text().split()
        if rest:
            file.write_text(" ".join(rest))
        return first

    def _ok(self) -> None:
        self.send_response(204)
        self.end_headers()

    def _error(self) -> None:
        self.send_response(500)
        self.send_header("content-length", "0")
        self.end_headers()

    def _redirect(self) -> None:
        self.send_response(302)
        self.send_header("location", "/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def _cut(self) -> None:
        self.connection.close()

    def _hang(self) -> None:
        time.sleep(600)

    def _drip(self) -> None:
        """An answer that never ends."""
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b".")
            time.sleep(0.2)


def main(folder: str, secret: str) -> None:
    Handler.folder = Path(folder)
    Handler.secret = base64.b64decode(secret.removeprefix("whsec_"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    (Handler.folder / "new").write_text(str(server.server_address[1]))
    (Handler.folder / "new").rename(Handler.folder / "port")
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
