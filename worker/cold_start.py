"""How old this process is, as far as the system tells: what a cold start costs."""

from __future__ import annotations

import os
from pathlib import Path


def milliseconds_since_start(moment: float | None) -> int | None:
    """How old this process was at ``moment`` (of :func:`worker.leases.now`), where the system says.

    Linux does, in hundredths of a second.
    """
    try:
        stat = Path("/proc/self/stat").read_text(encoding="ascii")
        started = int(stat.rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None
    return None if moment is None else round((moment - started) * 1000)
