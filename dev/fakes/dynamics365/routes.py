"""Where an operation goes: a request of its own, or one inside a batch."""

from __future__ import annotations

from dev.fakes.dynamics365 import reading, writing
from dev.fakes.dynamics365.errors import not_allowed
from dev.fakes.dynamics365.operations import Operation, Result
from dev.fakes.dynamics365.paths import Segment, segments
from dev.fakes.dynamics365.session import Session


def run(session: Session, operation: Operation) -> Result:
    """Execute one operation. Raises BcError, and then it has changed nothing."""
    with session.changes.whole():
        parts = segments(operation.path)
        if not parts or parts[0].name != "companies":
            parts = [Segment("companies", session.company_asked_for(operation)), *parts]
        if operation.method == "GET":
            return reading.read(session, parts, operation)
        if operation.method not in ("POST", "PATCH", "DELETE"):
            raise not_allowed(operation.method, parts[-1].name)
        return writing.write(session, parts, operation)
