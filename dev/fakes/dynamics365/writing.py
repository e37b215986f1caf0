"""POST, PATCH and DELETE: journals, their lines, the lines' dimensions, and the action that posts a journal."""

from __future__ import annotations

from datetime import timedelta

from dev.fakes.dynamics365.company import Company, Journal
from dev.fakes.dynamics365.desk import Desk, journal_of
from dev.fakes.dynamics365.errors import BcError, malformed, no_such_resource, not_allowed
from dev.fakes.dynamics365.operations import Operation, Result
from dev.fakes.dynamics365.paths import Segment
from dev.fakes.dynamics365.posting import Posting
from dev.fakes.dynamics365.reading import SETS
from dev.fakes.dynamics365.session import Session

POST_ACTION = "microsoft.nav.post"
"""Its last segment is not case-sensitive [LIVE-3P] (A3)."""
WRITABLE = ("journals", "journalLines", "dimensionSetLines")


def write(session: Session, parts: list[Segment], operation: Operation) -> Result:
    """Execute a POST, PATCH or DELETE. Raises BcError."""
    company, last = session.company(parts), parts[-1]
    if not session.application.may_write:
        raise BcError(403, "Authorization_RequestDenied", "The application has no permission to change this.")
    if last.name.lower() == POST_ACTION and len(parts) == 3 and parts[1].name == "journals":
        if operation.method != "POST":
            raise not_allowed(operation.method, last.name)
        return _post(session, company, journal_of(company, parts))
    if last.name not in WRITABLE:
        raise not_allowed(operation.method, last.name) if last.name in SETS else no_such_resource(operation.path)
    if (operation.method == "POST") != (last.key is None):
        raise not_allowed(operation.method, last.name)
    body = operation.body if isinstance(operation.body, dict) else {}
    if operation.method != "DELETE" and not isinstance(operation.body, dict):
        raise malformed("The request body must be a JSON object.")
    desk = Desk(session, company, operation)
    names = tuple(part.name for part in parts[1:])
    if names == ("journals",):
        return desk.journal(last.key, body)
    if last.name == "journalLines" and names in (("journals", "journalLines"), ("journalLines",)):
        return desk.line(parts, body)
    if last.name == "dimensionSetLines" and parts[-2].name == "journalLines":
        return desk.dimension(parts, body)
    raise no_such_resource(operation.path)


def _post(session: Session, company: Company, journal: Journal) -> Result:
    """204 and no body, whether it is posted now or by the job queue later (A10.1)."""
    if not session.application.may_post:
        raise BcError(403, "Authorization_RequestDenied", "The application has no permission to post.")
    waits = company.setup.job_queue_seconds
    if waits is not None:
        session.changes.set(journal, "due", session.now + timedelta(seconds=waits))
        return Result(204)
    if session.manners.empty_post == "accept" and all(line.is_blank for line in journal.lines.values()):
        return Result(204)
    Posting(company, session.ledger, session.numbers, session.now).post(journal, session.changes)
    return Result(204)
