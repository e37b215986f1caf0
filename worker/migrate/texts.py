"""The runner's own SQL, which lies beside it."""

from __future__ import annotations

from importlib.resources import files


def text(name: str) -> str:
    """The text of a file of this package; where it says ``{objects}``, say, that file stands instead."""
    here = files("worker.migrate")
    whole = here.joinpath(name).read_text(encoding="utf-8")
    for part in ("objects", "facts", "grants"):
        if f"{{{part}}}" in whole:
            whole = whole.replace(f"{{{part}}}", here.joinpath(f"{part}.sql").read_text(encoding="utf-8"))
    return whole
