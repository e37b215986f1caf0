"""A batch on its way into Business Central: survey, journal, lines, posting, ledger.

Every failure says whether anything can have come of it. While each request was refused in the system's own words, the
journal is deleted and nothing was executed. After anything else the journal is left as it stands, and the look-up,
which closes it for good, finds out. A batch that cannot be read back line by line as it was sent is not posted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from worker.adapters import _dynamics365_journal as journals
from worker.adapters._dynamics365_filling import fill
from worker.adapters._dynamics365_journal import Journal
from worker.adapters._dynamics365_ledger import held, questions, read
from worker.adapters._dynamics365_lines import JournalLine, Prepared, prepare
from worker.adapters._dynamics365_odata import Session
from worker.adapters._dynamics365_survey import survey
from worker.contract import Batch, Call, Outcome, Verdict
from worker.errors import AdapterError, ErrorClass, Executed, Malformed, Misconfigured

if TYPE_CHECKING:
    from worker.adapters._dynamics365_journal import Row


async def send(batch: Batch, call: Call) -> list[Outcome]:
    """Send the vouchers once. Raises AdapterError, Refused with its culprits among them."""
    session = await Session.open(call)
    prepared = prepare(batch.vouchers, session.settings)
    if not prepared.vouchers:
        return list(prepared.settled)
    if batch.vehicle is None:
        raise Misconfigured("The batch has no journal code.", executed=Executed.NO)
    journal, prepared = await _begun(session, batch.vehicle, prepared)
    if not prepared.vouchers:
        await tidy(session, journal)
        return list(prepared.settled)
    try:
        await _fill(session, journal, prepared)
        if session.settings.post:
            await journals.post(session, journal)
    except AdapterError as error:
        if error.executed is Executed.NO:
            raise await journals.discarded(session, journal, error) from None
        raise
    if not session.settings.post:
        return [*prepared.settled, *(Outcome(v.reference, Verdict.ACCEPTED) for v in prepared.vouchers)]
    return [*prepared.settled, *await _seen(session, journal, prepared)]


async def _begun(session: Session, code: str, prepared: Prepared) -> tuple[Journal, Prepared]:
    """The empty journal, and what is left to go into it: made and asked at once, for each call takes its time."""
    making = journals.create(session, code, _name(prepared))
    made, asked = await asyncio.gather(making, survey(session, prepared), return_exceptions=True)
    if isinstance(made, BaseException):
        raise made
    if isinstance(asked, AdapterError):
        raise await journals.discarded(session, made, asked)
    if isinstance(asked, BaseException):
        raise asked
    return made, asked


async def _fill(session: Session, journal: Journal, prepared: Prepared) -> None:
    lines = prepared.lines()
    await fill(session, journal, lines)
    _compare(journal, lines, await journals.contents(session, journal))


def _compare(journal: Journal, lines: Sequence[JournalLine], rows: Sequence[Row]) -> None:
    """Raise AdapterError unless the journal holds what was sent, and no more."""
    wanted = {line.number: (line.voucher.reference, line.line.amount) for line in lines}
    found = {row.number: (row.document, row.amount) for row in rows}
    if any(row.balancing for row in rows):
        raise journals.balanced(journal)
    foreign = [row for row in rows if row.number not in wanted or row.document != wanted[row.number][0]]
    if foreign:
        raise AdapterError(
            f"Journal {journal.code} holds lines that are not ours: it was not posted. Move them to another journal.",
            error_class=ErrorClass.TRANSIENT,
            answered=True,
        )
    if found != wanted:
        held = f"{len(found)} of {len(wanted)} lines" if len(found) < len(wanted) else "other amounts"
        raise Malformed(f"Journal {journal.code} holds {held}: it was not posted.", answered=True)


async def _seen(session: Session, journal: Journal, prepared: Prepared) -> list[Outcome]:
    """What the ledger says after a 204. What it does not show yet is accepted: a job queue may post it."""
    try:
        *ledger, left = await session.ask([*questions(prepared.vouchers), journals.question(journal)])
        booked = await held(session, prepared.vouchers, ledger)
        is_empty = not journals.rows_of(await read(session, left))
    except AdapterError:
        return [Outcome(voucher.reference, Verdict.ACCEPTED) for voucher in prepared.vouchers]
    outcomes = [
        Outcome(name, Verdict.EXPORTED, external_id=one.entries[0].number)
        if one.is_whole
        else Outcome(name, Verdict.ACCEPTED)
        for name, one in booked.items()
    ]
    if is_empty and all(outcome.verdict is Verdict.EXPORTED for outcome in outcomes):
        with contextlib.suppress(AdapterError):
            await journals.delete(session, journal)
    return outcomes


async def tidy(session: Session, journal: Journal) -> None:
    """Delete a journal that has done its work, unless somebody has written into it. What fails is left for people."""
    with contextlib.suppress(AdapterError):
        if not await journals.contents(session, journal):
            await journals.delete(session, journal)


def _name(prepared: Prepared) -> str:
    """What people see in Business Central."""
    days: list[date] = sorted({voucher.posting_date for voucher in prepared.vouchers})
    total = sum((line.amount for voucher in prepared.vouchers for line in voucher.lines if line.amount > 0), Decimal(0))
    span = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return f"{journals.OURS}: {len(prepared.vouchers)} vouchers, {span}, {total}"[:100]
