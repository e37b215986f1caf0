"""Lines go into a journal by JSON ``$batch``: at most 100 in one transaction, several transactions at once.

A transaction that holds one refused line has written nothing, whatever its other answers say [MS, LIVE]. One that was
answered in part is not known [LIVE].
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from worker.adapters import _dynamics365_dimensions as dimensions
from worker.adapters._dynamics365_errors import Part, inner_error
from worker.adapters._dynamics365_journal import Journal
from worker.adapters._dynamics365_lines import JournalLine, envelopes
from worker.adapters._dynamics365_odata import MOST_OPERATIONS, Operation, Session
from worker.errors import AdapterError, Executed, Malformed, Refused


async def fill(session: Session, journal: Journal, lines: Sequence[JournalLine]) -> None:
    """Write the lines, in transactions of whole vouchers, several at once.

    Raises AdapterError once all that were begun have ended; Refused with its culprits when lines were.
    """
    done = await asyncio.gather(
        *(_write(session, journal, piece) for piece in envelopes(lines, MOST_OPERATIONS)), return_exceptions=True
    )
    failures = [failure for failure in done if isinstance(failure, BaseException)]
    for failure in failures:
        if not isinstance(failure, AdapterError) or failure.executed is not Executed.NO:
            raise failure
    refused = [failure for failure in failures if isinstance(failure, Refused) and failure.culprits]
    if refused:
        culprits = {name: reason for failure in refused for name, reason in failure.culprits.items()}
        raise Refused(refused[0].message, culprits=culprits, executed=Executed.NO, answered=True)
    if failures:
        raise failures[0]


async def _write(session: Session, journal: Journal, piece: Sequence[JournalLine]) -> None:
    """One transaction: written are all of its lines, or after any error none. In two where dimensions are there."""
    path = f"{journal.path}/journalLines"
    try:
        await _transaction(session, piece, [Operation("POST", path, line.body) for line in piece])
    except Refused as error:
        if not dimensions.are_there(error):  # if anything was written after all, its line numbers are taken
            raise
        plain = [{name: value for name, value in line.body.items() if name != "dimensionSetLines"} for line in piece]
        written = await _transaction(session, piece, [Operation("POST", path, body) for body in plain])
        await _change(session, await dimensions.changes(session, piece, written))


async def _change(session: Session, changes: Sequence[dimensions.Change]) -> None:
    for start in range(0, len(changes), MOST_OPERATIONS):
        some = changes[start : start + MOST_OPERATIONS]
        await _transaction(session, [one.line for one in some], [one.operation for one in some])


async def _transaction(
    session: Session, lines: Sequence[JournalLine], operations: Sequence[Operation]
) -> list[Part | None]:
    """The answers, all of them good. ``lines`` are what the operations are about."""
    parts = await session.batch(operations, writes=True)
    failed = [(line, part) for line, part in zip(lines, parts, strict=True) if part and part.complaint]
    if failed:
        raise _refusal(*failed[0], whole=None not in parts)
    if None in parts:
        told = len(parts) - parts.count(None)
        raise Malformed(f"Business Central answered {told} of the {len(parts)} operations of a batch.")
    return parts


def _refusal(line: JournalLine, part: Part, *, whole: bool) -> AdapterError:
    complaint = part.complaint
    assert complaint is not None  # noqa: S101 - the caller has seen it
    executed = Executed.NO if whole and complaint.is_definite else Executed.UNKNOWN
    if complaint.passes:
        error = inner_error(complaint, writes=True)
        error.executed = executed
        return error
    culprits = {line.voucher.reference: line.fault(complaint)}
    facts = {"executed": executed, "answered": whole, "http_status": complaint.status}
    return Refused(complaint.message, culprits=culprits, **facts)
