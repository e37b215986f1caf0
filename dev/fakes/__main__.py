"""``python -m dev.fakes --port N``: all fake accounting systems in one process, for compose, demo and chaos.

Prints its base URL on the first line of stdout once it listens. ``--token NAME=TOKEN`` (repeatable) makes one legal
entity per organisation in every fake; without it there is one, with the token ``test-token``. Dynamics 365 takes the
token for the client secret of an application.
"""

from __future__ import annotations

import argparse

from dev.fakes.dynamics365 import Dynamics365Fake
from dev.fakes.fake import Fake
from dev.fakes.server import serve_forever
from dev.fakes.xledger import XledgerFake


def fakes(tokens: list[str], import_delay: float, latency: float) -> list[Fake]:
    served: list[Fake] = [XledgerFake(token=None, import_delay=import_delay), Dynamics365Fake(token=None)]
    for fake in served:
        for pair in tokens or ["Frivillig Norge=test-token"]:
            name, _, token = pair.partition("=")
            fake.add_tenant(token or name, name)
        fake.latency = latency
    return served


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m dev.fakes", description="Fake accounting systems over HTTP.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8770, help="0 takes a free one")
    parser.add_argument("--token", action="append", default=[], metavar="NAME=TOKEN")
    parser.add_argument("--import-delay", type=float, default=0.0, help="seconds until Xledger's import job posts")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that every call takes")
    given = parser.parse_args()
    serve_forever(
        fakes(given.token, given.import_delay, given.latency),
        given.host,
        given.port,
        lambda base: print(base, flush=True),
    )


if __name__ == "__main__":
    main()
