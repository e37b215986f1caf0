"""One table from what happened on the line to what it means: a column for reads and one for writes.

Requirements E1 and E2. A write whose treatment does not say ``NO`` may have been executed: it is looked
up before it is sent again. ``answered`` says that the system itself, not something before it, has spoken.
An adapter that knows its vendor better hands :class:`worker.http.Http` its own rows, which win over these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from worker import errors
from worker.errors import AdapterError, ErrorClass, Executed

TRANSIENT, PERMANENT, TIMEOUT = ErrorClass.TRANSIENT, ErrorClass.PERMANENT, ErrorClass.TIMEOUT
NO, UNKNOWN = Executed.NO, Executed.UNKNOWN


class Fault(StrEnum):
    """What can happen beside an HTTP status."""

    DNS = "the host name does not resolve"
    CONNECT = "the connection was refused or failed"
    CONNECT_TIMEOUT = "no connection in time"
    NETWORK = "the connection broke"
    TIMEOUT = "no answer in time"
    NOT_JSON = "the answer is not JSON"
    TOO_LARGE = "the answer is too large"
    BUSINESS = "the answer's body is an error"
    UNAVAILABLE_UNTIL = "503 with Retry-After"
    OTHER_1XX_TO_3XX = "an unexpected status below 400"
    OTHER_4XX = "any other status from 400"
    OTHER_5XX = "any other status from 500"


@dataclass(frozen=True, slots=True)
class Treatment:
    error_class: ErrorClass
    executed: Executed
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """What a fault becomes. ``read`` never says executed: repeating a read does nothing."""

    kind: type[AdapterError]
    read: ErrorClass
    write: Treatment

    def treatment(self, *, writes: bool) -> Treatment:
        return self.write if writes else Treatment(self.read, NO, self.write.answered)


Key = int | Fault
Rows = Mapping[Key, Row]


def _row(
    kind: type[AdapterError],
    read: ErrorClass,
    executed: Executed,
    *,
    write: ErrorClass | None = None,
    answered: bool = False,
) -> Row:
    return Row(kind, read, Treatment(write or read, executed, answered))


ROWS: Rows = MappingProxyType(
    {
        Fault.DNS: _row(errors.Unavailable, TRANSIENT, NO),
        Fault.CONNECT: _row(errors.Unavailable, TRANSIENT, NO),
        Fault.CONNECT_TIMEOUT: _row(errors.Timeout, TIMEOUT, NO),
        Fault.NETWORK: _row(errors.Unavailable, TRANSIENT, UNKNOWN),
        Fault.TIMEOUT: _row(errors.Timeout, TIMEOUT, UNKNOWN),
        Fault.NOT_JSON: _row(errors.Malformed, TRANSIENT, UNKNOWN),
        Fault.TOO_LARGE: _row(errors.Malformed, PERMANENT, UNKNOWN, write=TRANSIENT),
        Fault.BUSINESS: _row(errors.Rejected, PERMANENT, UNKNOWN, answered=True),
        Fault.UNAVAILABLE_UNTIL: _row(errors.Unavailable, TRANSIENT, NO),
        # A redirect is never followed: what it answered has not done our work, but that it did nothing is not said.
        Fault.OTHER_1XX_TO_3XX: _row(errors.Rejected, PERMANENT, UNKNOWN),
        Fault.OTHER_4XX: _row(errors.Rejected, PERMANENT, UNKNOWN, answered=True),
        Fault.OTHER_5XX: _row(errors.Unavailable, TRANSIENT, UNKNOWN),
        400: _row(errors.Refused, PERMANENT, UNKNOWN, answered=True),
        401: _row(errors.Unauthorized, PERMANENT, NO, answered=True),
        403: _row(errors.Unauthorized, PERMANENT, NO, answered=True),
        404: _row(errors.Rejected, PERMANENT, NO, answered=True),
        405: _row(errors.Rejected, PERMANENT, NO, answered=True),
        # The server gave up on us, or on its own work: either may be meant, so a write may be done.
        408: _row(errors.Timeout, TIMEOUT, UNKNOWN),
        409: _row(errors.Refused, PERMANENT, UNKNOWN, answered=True),
        413: _row(errors.Refused, PERMANENT, NO, answered=True),
        415: _row(errors.Rejected, PERMANENT, NO, answered=True),
        422: _row(errors.Refused, PERMANENT, UNKNOWN, answered=True),
        429: _row(errors.RateLimited, TRANSIENT, NO, answered=True),
        # The application itself fell over: it has stopped, but how far it had come is not said.
        500: _row(errors.Unavailable, TRANSIENT, UNKNOWN, answered=True),
        502: _row(errors.Unavailable, TRANSIENT, UNKNOWN),
        503: _row(errors.Unavailable, TRANSIENT, UNKNOWN),
        504: _row(errors.Unavailable, TRANSIENT, UNKNOWN),
    }
)


def key_of(status: int, retry_after: float | None) -> Key:
    """The row's key of an HTTP status. A 503 that says when to come back is one that did nothing."""
    return Fault.UNAVAILABLE_UNTIL if status == 503 and retry_after is not None else status


def look_up(key: Key, rows: Rows | None = None) -> Row:
    """The row of a fault or a status; a status that no row names has its hundred's."""
    own = rows or {}
    for candidate in (key, _hundred(key)):
        row = own.get(candidate) or ROWS.get(candidate)
        if row is not None:
            return row
    raise KeyError(key)


def failure(
    key: Key,
    message: str,
    *,
    writes: bool,
    rows: Rows | None = None,
    http_status: int | None = None,
    **facts: Any,
) -> AdapterError:
    """The error that a fault becomes. ``facts`` are its own: ``retry_after``, ``reason_code``, ``culprits``."""
    row = look_up(key, rows)
    treatment = row.treatment(writes=writes)
    return row.kind(
        message,
        error_class=treatment.error_class,
        executed=treatment.executed,
        answered=treatment.answered,
        http_status=http_status if http_status is not None else (key if isinstance(key, int) else None),
        **facts,
    )


def _hundred(key: Key) -> Key:
    if isinstance(key, Fault):
        return key
    if key >= 500:
        return Fault.OTHER_5XX
    return Fault.OTHER_4XX if key >= 400 else Fault.OTHER_1XX_TO_3XX
