"""An operation on the API, and what it answers: what sessions, batches and pages hand to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
Headers = Mapping[str, str]
JSON = "application/json; odata.metadata=minimal; odata.streaming=true"


@dataclass(frozen=True, slots=True)
class Result:
    """What an operation answers. ``body`` is None for 204."""

    status: int
    body: Any = None
    headers: Headers = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as it came. ``path`` is below the API's root; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Headers
    body: Any
