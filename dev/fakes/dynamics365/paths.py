"""Where a URL leads: the token endpoint, the API's root, the batch, or entities below a company (A1, A2, A3)."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote
from uuid import UUID

from dev.fakes.dynamics365.errors import BcError

TOKEN = re.compile(r"/(?P<tenant>[^/]+)/oauth2/v2\.0/token$")
API = re.compile(r"/v2\.0/(?:(?P<tenant>[^/]+)/)?(?P<environment>[^/]+)/api/v2\.0(?P<rest>/.*|)$")
SEGMENT = re.compile(r"(?P<name>[^()]+)(?:\((?P<key>[^()]*)\))?")


class Segment(NamedTuple):
    """``journals(…)`` has a key, ``journalLines`` has none."""

    name: str
    key: UUID | None


def segments(path: str) -> list[Segment]:
    """The parts of a path below the API's root. Raises BcError when it is none, or a key is no GUID."""
    found = []
    for part in filter(None, path.split("/")):
        match = SEGMENT.fullmatch(unquote(part))
        if match is None:
            raise BcError(400, "BadRequest_InvalidRequestUrl", f"The request URI is not valid: '{part}'.")
        found.append(Segment(match["name"], None if match["key"] is None else _key(match["key"])))
    return found


def named(path: str) -> str:
    """What a path asks for: the last entity or action in it."""
    last = path.split("?", maxsplit=1)[0].rstrip("/").rpartition("/")[2].partition("(")[0]
    return "post" if last.lower() == "microsoft.nav.post" else last


def _key(text: str) -> UUID:
    try:
        return UUID(text.strip("'"))
    except ValueError:
        raise BcError(400, "BadRequest_InvalidRequestUrl", f"'{text}' is not a valid key: a GUID is.") from None
