"""Where the database's own text lies: beside the packages in a checkout, under ``share/bilag`` when installed.

The wheel carries both folders as data (``pyproject.toml``, ``shared-data``), so that an image or a plain
``pip install`` can migrate without a checkout.
"""

from __future__ import annotations

import sysconfig
from pathlib import Path


def _place(name: str) -> Path:
    beside = Path(__file__).resolve().parent.parent / name
    return beside if beside.is_dir() else Path(sysconfig.get_path("data"), "share", "bilag", name)


MIGRATIONS = _place("migrations")
"""The nouns: ``NNNN_name.sql``, each applied once."""

SQL = _place("sql")
"""The verbs: re-applied as a whole whenever one of them changed."""
