"""What the system says of a process from outside (Linux): its memory, and the CPU that it has used."""

from __future__ import annotations

import os
from pathlib import Path


def most_memory(pid: int) -> float:
    """The most that the process ever held in memory, in MiB; nan where the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return float("nan")
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def cpu_seconds(pid: int) -> float:
    """CPU that the process itself has used; nan where the system does not say."""
    return _ticks(pid, 11, 12)


def cpu_seconds_of_children(pid: int) -> float:
    """CPU that its children had used which have ended; nan where the system does not say."""
    return _ticks(pid, 13, 14)


def _ticks(pid: int, *fields: int) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return sum(int(stat[field]) for field in fields) / os.sysconf("SC_CLK_TCK")
