"""What Business Central holds of vouchers: in the journal that carried them, then in the ledger.

Vouchers travel from the journal to the ledger in one transaction, so the journal is seen to first. A look-up of what is
in doubt closes the journal before it looks: it deletes it with all that stands in it, and takes its code for an empty
journal that stays. What may still be on its way then fails, whenever it arrives: making the journal, since its code is
taken, and writing into it or posting it, since its id is gone. So what the ledger does not show after that can never
come to stand there, and absence is proven at once.

It closes nothing when other vouchers of the journal wait in it to be posted, nor when somebody else's lines stand in
it. Of a voucher whose journal is not known, because a restored database has forgotten it, every journal is asked, and
none is touched; also of one that people are to post and that does not stand in its own journal, for it may have been
renamed.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from worker.adapters import _dynamics365_journal as journals
from worker.adapters._dynamics365_journal import CLOSED, Journal, Row
from worker.adapters._dynamics365_ledger import Booked, booked, read
from worker.adapters._dynamics365_odata import MOST_OPERATIONS, Session
from worker.adapters._dynamics365_sending import tidy
from worker.contract import Batch, Call, Finding, Presence, Sending, Voucher
from worker.errors import AdapterError, Executed

CLOSED_FOR = timedelta(days=1)
"""How long a code is kept from being used again. No request is on its way for as long as this."""
_MOST_SWEPT = 20
_TRIES = 3


@dataclass(slots=True)
class _Seen:
    """What the journals hold: our lines by reference with the journal's code; which codes are closed for good."""

    lines: dict[str, list[tuple[str, Row]]] = field(default_factory=lambda: defaultdict(list))
    closed: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)
    open: dict[str, Journal] = field(default_factory=dict)

    def note(self, journal: Journal, rows: Iterable[Row]) -> None:
        for row in rows:
            self.lines[row.document].append((journal.code, row))


async def find(batch: Batch, call: Call) -> list[Finding]:
    """Close the journals of these vouchers, then look for them. Raises AdapterError: nothing is proven then."""
    return await _look(batch, call, closes=True)


async def confirm(batch: Batch, call: Call) -> list[Finding]:
    """Look for vouchers that were accepted. Nothing is closed: somebody is to post them."""
    return await _look(batch, call, closes=False)


async def _look(batch: Batch, call: Call, *, closes: bool) -> list[Finding]:
    session = await Session.open(call)
    seen, held = _Seen(), dict[str, Booked]()
    if batch.only_reads:  # booked long ago, in many journals that are gone since
        held = await booked(session, batch.vouchers)
    rest = [
        one for one in batch.sendings if one.voucher.reference not in held or not held[one.voucher.reference].is_whole
    ]
    by_vehicle: dict[str | None, list[Sending]] = defaultdict(list)
    for sending in rest:
        by_vehicle[sending.vehicle].append(sending)
    for vehicle, sendings in by_vehicle.items():
        if vehicle is None:
            continue  # last: what a journal held that is being closed is no evidence
        if closes and all(sending.revocable for sending in sendings):
            await _close(session, vehicle, seen)
        else:
            await _ask_journal(session, vehicle, seen)
    # What people are to post stands in journals for as long as they like, and they may rename those.
    unseen = not session.settings.post and any(one.voucher.reference not in seen.lines for one in rest)
    if None in by_vehicle or unseen:
        await _ask_every_journal(session, seen, but=by_vehicle)
    held |= await booked(session, [sending.voucher for sending in rest])
    findings = [_judge(sending, held[sending.voucher.reference], seen, session) for sending in batch.sendings]
    if not closes and not batch.only_reads:
        await _tidy(session, batch, findings, seen)
    return findings


async def _close(session: Session, code: str, seen: _Seen) -> None:
    """Delete the journal of this code and take the code. Raises AdapterError when that did not surely happen."""
    for _try in range(_TRIES):
        for journal in await journals.named(session, code):
            if journal.name == CLOSED:
                seen.closed.add(code)
                return
            rows = await journals.contents(session, journal)
            if any(not is_ours(row) for row in rows):
                seen.foreign.add(code)
                seen.note(journal, rows)
                return
            await journals.delete(session, journal)
        try:
            await journals.create(session, code, CLOSED)
        except journals.Taken:
            continue  # what was on its way has just arrived: it is deleted, too
        seen.closed.add(code)
        await _sweep(session)
        return
    raise AdapterError(f"Journal {code} could not be closed: it comes back each time.", executed=Executed.NO)


async def _ask_journal(session: Session, code: str, seen: _Seen) -> None:
    for journal in await journals.named(session, code):
        if journal.name == CLOSED:
            continue
        seen.open[code] = journal
        seen.note(journal, await journals.contents(session, journal))


async def _ask_every_journal(session: Session, seen: _Seen, but: Collection[str | None]) -> None:
    found = await journals.everything(session)
    there = [journal for journal in found if journal.name != CLOSED and journal.code not in but]
    for start in range(0, len(there), MOST_OPERATIONS):
        some = there[start : start + MOST_OPERATIONS]
        parts = await session.batch([journals.question(journal, only_ours=True) for journal in some], writes=False)
        for journal, part in zip(some, parts, strict=True):
            seen.note(journal, journals.rows_of(await read(session, part)))


async def _sweep(session: Session) -> None:
    """Delete journals that were closed so long ago that nothing for them can arrive any more."""
    old = (datetime.now(UTC) - CLOSED_FOR).strftime("%Y-%m-%dT%H:%M:%S")
    with contextlib.suppress(AdapterError):
        spent = [one for one in await journals.everything(session) if one.name == CLOSED and "" < one.modified < old]
        for journal in spent[:_MOST_SWEPT]:
            if not await journals.contents(session, journal):
                await journals.delete(session, journal)


async def _tidy(session: Session, batch: Batch, findings: Sequence[Finding], seen: _Seen) -> None:
    """Delete the journals of which everything that was asked for is booked."""
    booked_now = {finding.reference for finding in findings if finding.presence is Presence.WHOLE and finding.posted}
    for code, journal in seen.open.items():
        if all(one.voucher.reference in booked_now for one in batch.sendings if one.vehicle == code):
            await tidy(session, journal)


def is_ours(row: Row) -> bool:
    """Whether Bilag wrote this line: its document number is a reference of Bilag's."""
    return len(row.document) == 20 and row.document.startswith("BL") and row.document.isalnum()


def _judge(sending: Sending, held: Booked, seen: _Seen, session: Session) -> Finding:
    voucher, name = sending.voucher, sending.voucher.reference
    rows = seen.lines.get(name, [])
    codes = ", ".join(sorted({code for code, _row in rows}))
    number = held.entries[0].number if held.entries else None
    if held.is_whole and not rows:
        return Finding(name, Presence.WHOLE, posted=True, external_id=number)
    if held.entries:
        return Finding(name, Presence.UNKNOWN, external_id=number, message=_trouble(held, codes))
    if not rows:
        return Finding(name, Presence.ABSENT, revoked=sending.vehicle in seen.closed)
    if not _stands_whole(voucher, [row for _code, row in rows]):
        return Finding(name, Presence.PARTIAL, message=f"Journal {codes} holds the voucher in part, or changed.")
    if sending.vehicle in seen.foreign:
        message = f"Journal {codes} holds lines of others beside the voucher: move those to another journal."
        return Finding(name, Presence.UNKNOWN, message=message)
    if sending.vehicle is None and session.settings.post:
        message = f"The voucher stands in journal {codes}, not posted: post it there, or delete the journal."
        return Finding(name, Presence.UNKNOWN, message=message)
    return Finding(name, Presence.WHOLE, posted=False)


def _trouble(held: Booked, codes: str) -> str:
    if held.is_doubled:
        return "Business Central's ledger holds the voucher more than once."
    if held.is_whole:
        return f"The voucher is booked, and stands in journal {codes} once more: delete it there."
    return "Business Central's ledger holds the voucher in part, changed, or reversed."


def _stands_whole(voucher: Voucher, rows: Sequence[Row]) -> bool:
    return sorted(row.amount for row in rows) == sorted(line.amount for line in voucher.lines)
