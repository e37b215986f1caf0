"""``python -m dev up``, ``down`` and ``smoke``: what ``make up``, ``make down`` and ``.ci/smoke`` run."""

from __future__ import annotations

import sys
from collections.abc import Callable

from dev import smoke, stack
from dev.postgres import PostgresMissing
from dev.postgres.cluster import PostgresFailed
from worker.migrate import MigrationError

COMMANDS: dict[str, Callable[[], None]] = {"up": stack.up, "down": stack.down, "smoke": smoke.smoke}

FAILURES = (PostgresMissing, PostgresFailed, MigrationError, stack.StackFailed, smoke.SmokeFailed)
"""What a person can mend: said in a sentence, without a traceback."""


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        print(f"usage: python -m dev {'|'.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        COMMANDS[arguments[0]]()
    except FAILURES as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
