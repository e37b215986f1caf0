"""A general journal of our own for each batch: made, read, posted, deleted.

What is known, and from where (the marks are explained in ``dynamics365.py``):

* A journal is found by its id, which only who made it has been told, and by its ``code``, of which there is one [AL].
  One that exists is refused as ``Internal_EntityWithSameKeyExists`` [3P, LIVE].
* One that the API makes has no number series and no balancing account [AL]. One with a balancing account would give it
  to every line [A10.4], so it is refused.
* Deleting it deletes its lines; what names its id after that fails [INF].
* Posting books all lines in it, whoever wrote them [A10.6], and leaves one blank line behind [A10.2]. A code without
  digits keeps its journal where the template counts names up [A10.3].
* Posting commits, so it is a request of its own [MS, AL]; 204 may mean that a job queue posts later [A10.1].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from worker.adapters._dynamics365_errors import SAME_KEY, Complaint, error_of
from worker.adapters._dynamics365_ledger import amount_of, code_of, literal
from worker.adapters._dynamics365_odata import Operation, Session
from worker.errors import AdapterError, Executed, Refused, Rejected
from worker.faults import Fault
from worker.http import Answer

OURS = "Bilag"
"""How the names of our journals begin."""
CLOSED = f"{OURS}: given up, stays empty, is deleted later"
"""The name of a journal that only keeps its code from being used again."""

_NONE = "00000000-0000-0000-0000-000000000000"
_FIELDS = "id,lineNumber,documentNumber,accountNumber,amount,balancingAccountNumber"


@dataclass(frozen=True, slots=True)
class Journal:
    """A general journal batch, as Business Central's own pages call it. ``modified`` as it was told."""

    id: str
    code: str
    name: str = ""
    modified: str = ""

    @property
    def path(self) -> str:
        return f"journals({self.id})"


@dataclass(frozen=True, slots=True)
class Row:
    """A line that stands in a journal and says something."""

    number: int
    document: str
    account: str
    amount: Decimal
    balancing: str


class Taken(AdapterError):
    """There is a journal with this code. Who made it is not known."""


async def create(session: Session, code: str, name: str) -> Journal:
    """A new journal. Raises AdapterError: also when the code is taken, for then the journal is not ours to fill."""
    answer = await session.write("POST", "journals", {"code": code, "displayName": name})
    body = answer.json()
    complaint = Complaint.of(answer.status, body)
    if complaint is not None:
        raise _not_made(answer, complaint, code)
    if not isinstance(body, Mapping) or not body.get("id") or code_of(body, "code") != code:
        raise answer.failure(Fault.NOT_JSON, "the answer is not the journal that was made")
    journal = Journal(str(body["id"]), code, name)
    if code_of(body, "balancingAccountNumber") or str(body.get("balancingAccountId") or _NONE) != _NONE:
        raise await discarded(session, journal, balanced(journal))
    return journal


async def contents(session: Session, journal: Journal) -> list[Row]:
    """The lines that stand in it, but for blank ones. Raises AdapterError."""
    return rows_of(await session.rows(question(journal).path))


def question(journal: Journal, *, only_ours: bool = False) -> Operation:
    """What asks a journal for its lines; ``only_ours``: those whose document number begins as Bilag's do."""
    wanted = "$filter=startswith(documentNumber,'BL')&" if only_ours else ""
    return Operation("GET", f"{journal.path}/journalLines?{wanted}$select={_FIELDS}")


def rows_of(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The lines in an answer that say something: posting leaves a blank one behind. A repeated one is one."""
    found = {str(row.get("id")): _row(row) for row in rows}
    return [row for row in found.values() if row.document or row.account or row.amount]


async def post(session: Session, journal: Journal) -> None:
    """Post all of it, in a request of its own. Raises AdapterError; 204 says that it is posted, or will be."""
    answer = await session.write("POST", f"{journal.path}/Microsoft.NAV.post")
    if answer.status == 204:
        return
    body = answer.json()
    complaint = Complaint.of(answer.status, body)
    if complaint is None:
        raise answer.failure(Fault.NOT_JSON, "the answer to posting says something else")
    raise error_of(answer, complaint)


async def delete(session: Session, journal: Journal) -> None:
    """Delete it with its lines; it may be gone already. Raises AdapterError when it may still be there."""
    answer = await session.write("DELETE", journal.path)
    if answer.status == 404 or 200 <= answer.status < 300:
        return
    complaint = Complaint.of(answer.status, answer.json())
    raise answer.error() if complaint is None else error_of(answer, complaint)


async def discarded(session: Session, journal: Journal, error: AdapterError) -> AdapterError:
    """The error again: it says that nothing was executed if the journal could be deleted, else that it is not known."""
    try:
        await delete(session, journal)
    except AdapterError:
        error.executed = Executed.UNKNOWN
    else:
        error.executed = Executed.NO
    return error


async def named(session: Session, code: str) -> list[Journal]:
    """The journals with this code: one, or none. Raises AdapterError."""
    rows = await session.rows(f"journals?$filter=code eq {literal(code)}")
    return [journal for journal in map(journal_of, rows) if journal.code == code]


async def everything(session: Session) -> list[Journal]:
    """All journals of the template that ours are made in. Raises AdapterError."""
    return [journal_of(row) for row in await session.rows("journals")]


def journal_of(row: Mapping[str, Any]) -> Journal:
    return Journal(
        str(row.get("id")),
        code_of(row, "code"),
        str(row.get("displayName") or ""),
        str(row.get("lastModifiedDateTime") or ""),
    )


def _row(row: Mapping[str, Any]) -> Row:
    number = row.get("lineNumber")
    return Row(
        int(number) if isinstance(number, int) else 0,
        code_of(row, "documentNumber"),
        code_of(row, "accountNumber"),
        amount_of(row.get("amount")),
        code_of(row, "balancingAccountNumber"),
    )


def balanced(journal: Journal) -> AdapterError:
    """Nothing was posted, and the journal is to be deleted."""
    return Rejected(
        f"Business Central gave journal {journal.code} a balancing account, which would double every line. "
        "Remove it from the general journal template.",
        executed=Executed.NO,
        answered=True,
    )


def _not_made(answer: Answer, complaint: Complaint, code: str) -> AdapterError:
    """No journal was made by this request. Who made the one that has the code is not known: it is not filled."""
    if complaint.code == SAME_KEY:
        message = f"The journal {code} exists already: it was given up, or the request came twice."
        return Taken(message, http_status=answer.status, answered=True)
    error = error_of(answer, complaint)
    if complaint.is_definite and answer.status >= 300:
        error.executed = Executed.NO
    if isinstance(error, Refused):  # no voucher is to blame, and dividing the batch would not help
        said = f"No journal could be made: {error.message}"
        return Rejected(said, executed=error.executed, answered=True, http_status=error.http_status)
    return error
