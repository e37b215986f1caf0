"""``bilag``: the command line. What a command needs is imported when it is called, and not before.

Exit codes: 0 done, 1 failed, 2 wrong usage. What went wrong is one sentence on stderr; results are on stdout.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words == ["worker"]:  # nothing to parse, and importing the parser is a tenth of this command's whole start
        from worker.cli.serving import serve_by_environment

        sys.exit(serve_by_environment())
    from worker.cli.commands import run

    sys.exit(run(words))
