"""What a migration says when it is over, and what it says when it cannot go on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class MigrationError(Exception):
    """One sentence for the person who ran it: what is wrong, and with which file, object or role."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did or, with ``check``, would have to do.

    ``drift`` has one sentence per difference between the database and this version, and is filled by ``check`` alone.
    ``notes`` name what works less well on this server than it could, such as a missing pg_cron.
    """

    prepared: tuple[str, ...] = ()
    applied: tuple[str, ...] = ()
    verbs_applied: bool = False
    dropped: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    written: tuple[Path, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether the database is another than before."""
        return bool(self.prepared or self.applied or self.verbs_applied)
