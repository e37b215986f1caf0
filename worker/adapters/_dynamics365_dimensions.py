"""Dimensions on lines whose account has put its own default dimensions there already.

A line is inserted with its dimensions. Where an account's default dimension is one of them, Business Central refuses
that: "The dimension set line already exists" [AL]. Nothing was written then, so the lines go without, and their
dimensions are set afterwards: changed where they are, added where they are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.adapters._dynamics365_errors import Part
from worker.adapters._dynamics365_ledger import code_of, read
from worker.adapters._dynamics365_lines import JournalLine
from worker.adapters._dynamics365_odata import MOST_OPERATIONS, Operation, Session
from worker.errors import Malformed, Refused

_THERE = re.compile("dimension set line already exists", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Change:
    """One request that gives a line one of its dimensions."""

    line: JournalLine
    operation: Operation


def are_there(error: Refused) -> bool:
    """Whether lines were refused because their account has put the dimension there."""
    return bool(_THERE.search(error.message))


async def changes(session: Session, lines: Sequence[JournalLine], written: Sequence[Part | None]) -> list[Change]:
    """What is missing on lines that were written without dimensions. Raises AdapterError."""
    coded = [(line, _id(part)) for line, part in zip(lines, written, strict=True) if line.dimensions]
    found: list[Change] = []
    for start in range(0, len(coded), MOST_OPERATIONS):
        some = coded[start : start + MOST_OPERATIONS]
        questions = [Operation("GET", f"journalLines({line_id})/dimensionSetLines") for _line, line_id in some]
        parts = await session.batch(questions, writes=False)
        for (line, line_id), part in zip(some, parts, strict=True):
            rows = {code_of(row, "code"): row for row in await read(session, part)}
            found += [Change(line, operation) for operation in _operations(line, line_id, rows)]
    return found


def _operations(line: JournalLine, line_id: str, rows: Mapping[str, Mapping[str, Any]]) -> Iterator[Operation]:
    path = f"journalLines({line_id})/dimensionSetLines"
    for dimension in line.dimensions:
        row = rows.get(dimension["code"].upper())
        if row is None:
            yield Operation("POST", path, dimension)
        elif code_of(row, "valueCode") != dimension["valueCode"].upper():
            yield Operation("PATCH", f"{path}({row.get('id')})", {"valueCode": dimension["valueCode"]}, if_match=True)


def _id(part: Part | None) -> str:
    body = part.body if part else None
    if not isinstance(body, Mapping) or not body.get("id"):
        raise Malformed("Business Central did not say the id of a line that it wrote.")
    return str(body["id"])
