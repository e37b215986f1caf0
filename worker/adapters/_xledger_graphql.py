"""How Xledger is spoken to: one GraphQL endpoint, a token, and errors in the body.

What is known, and from where (the sources are listed in ``xledger.py``):

* ``Authorization: token <TOKEN>``, not Bearer [C X1]; POST of ``{query, variables}`` [C X1].
* Errors come as ``errors: [{message, code?, extensions?}]`` with ``code`` on the top level [C X1], usually with HTTP
  200, the same body also with HTTP 400 [T X7]: the body is read first, the status second.
* The three rate limits and the waits that the vendor's own client uses: 5 s, 1 s, 20 minutes [C X1]; credits say when
  they return in ``extensions.resetAt``, whose format is not documented. Times without an offset are CET/CEST [C X1].
* ``Bad format for API Token`` is a bad credential; ``Your query timed out.`` has no code [T X6].
* ``data`` may be ``null`` [T X7].
* A body that is no GraphQL answer is not Xledger's application but something before it, as in a maintenance window
  [C X1]: whatever its status, it does not prove that a write has ended.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from worker.adapters._xledger_settings import XledgerSettings
from worker.contract import Call
from worker.errors import AdapterError, Executed, Refused, Unauthorized
from worker.faults import Fault, Key, look_up
from worker.http import Answer
from worker.wire import LONGEST_WAIT

Culprits = Mapping[str, tuple[str, Mapping[str, Any]]]
Blame = Callable[[Sequence[str]], Culprits | None]
"""From the vendor's messages to the vouchers they name; ``None`` when no voucher is to blame, but our settings."""

CREDITS = "BAD_REQUEST.INSUFFICIENT_CREDITS"
RATE_LIMITS = {
    "BAD_REQUEST.BURST_RATE_LIMIT_REACHED": 5.0,
    "BAD_REQUEST.CONCURRENCY_LIMIT_REACHED": 1.0,
    CREDITS: 20 * 60.0,
}
"""Seconds to wait, by code [C X1]."""
CLOCKS_DIFFER = timedelta(minutes=1)

_BY_CODE: Mapping[str, Key] = {**dict.fromkeys(RATE_LIMITS, 429), "UNHANDLED_ERROR": 500}
# No text of these is documented; tokens are revoked, and scopes are given per kind of object [C X5], so there are some.
_BAD_TOKEN = re.compile(
    r"bad format for api token"
    r"|(invalid|unknown|expired|revoked|disabled|inactive) (api )?token"
    r"|token (is|was|has|has been) (not valid|invalid|unknown|expired|revoked|disabled|inactive)",
    re.IGNORECASE,
)
_NO_ACCESS = re.compile(r"no (read |write )?access|access denied|not authori[sz]ed", re.IGNORECASE)
_BY_MESSAGE: tuple[tuple[re.Pattern[str], Key], ...] = (
    (_BAD_TOKEN, 401),  # whoever is not known has executed nothing
    (re.compile("your query timed out", re.IGNORECASE), 408),
    (_NO_ACCESS, 403),
    # The request itself is not understood: no voucher is to blame, and halving the batch would not mend it.
    (re.compile("cannot query field|unknown argument|unknown type|syntax error", re.IGNORECASE), Fault.OTHER_4XX),
)

_TOKEN = re.compile(r"[\x21-\x7e]+")
_BODY_DECIDES = (range(200, 300), (400, 422))


@dataclass(frozen=True, slots=True)
class Complaint:
    """One error of an answer's body."""

    message: str
    code: str
    extensions: Mapping[str, Any]

    @classmethod
    def of(cls, error: Any) -> Complaint:
        if not isinstance(error, Mapping):
            return cls(str(error), "", {})
        extensions = error.get("extensions")
        extensions = extensions if isinstance(extensions, Mapping) else {}
        code = error.get("code") or extensions.get("code") or ""
        return cls(str(error.get("message") or code or "an error without a message"), str(code), extensions)

    @property
    def key(self) -> Key:
        """The row of the table that this error means."""
        by_message = next((key for pattern, key in _BY_MESSAGE if pattern.search(self.message)), Fault.BUSINESS)
        return _BY_CODE.get(self.code, by_message)

    def wait(self, now: datetime) -> float | None:
        if self.code == CREDITS and "resetAt" in self.extensions:
            return seconds_until(self.extensions["resetAt"], now) or RATE_LIMITS[CREDITS]
        return RATE_LIMITS.get(self.code)


async def ask(
    call: Call, query: str, variables: Mapping[str, Any] | None = None, *, blame: Blame | None = None
) -> Mapping[str, Any] | None:
    """Send a query, or a mutation if ``blame`` is given, and return ``data``, which may be ``None``.

    Raises AdapterError; for a mutation that was answered with an error about its rows, Refused with its culprits.
    """
    token = (await call.credential()).get_secret_value().strip()
    if not _TOKEN.fullmatch(token):
        raise Unauthorized("The credential has not the form of an API token.", executed=Executed.NO)
    answer = await call.http.send(
        "POST",
        cast("XledgerSettings", call.settings).base_url,
        writes=blame is not None,
        headers={"Authorization": f"token {token}"},
        body={"query": query, "variables": dict(variables or {})},
    )
    body = _body(answer)
    data = body.get("data")
    if body.get("errors"):
        raise _error(answer, body["errors"], data, blame)
    if answer.status >= 300:
        raise answer.error()
    return data


def _body(answer: Answer) -> Mapping[str, Any]:
    """The answer's body if it is GraphQL's. Raises AdapterError for one that is not: Xledger itself said nothing."""
    try:
        body = answer.json()
    except AdapterError:
        body = None
    is_graphql = isinstance(body, Mapping) and bool(body.keys() & {"data", "errors"})
    if is_graphql and isinstance(body.get("data"), Mapping | None):
        return cast("Mapping[str, Any]", body)
    write = look_up(answer.status).write
    if answer.status < 400 or (write.answered and write.executed is Executed.UNKNOWN):
        raise answer.failure(Fault.NOT_JSON, f"HTTP {answer.status}, and the answer is not a GraphQL answer")
    raise answer.error()


def _error(answer: Answer, errors: Any, data: Any, blame: Blame | None) -> Exception:
    """What an answer with errors means. Where errors, data and status disagree about a write, nothing is proven."""
    complaints = [Complaint.of(error) for error in (errors if isinstance(errors, list) else [errors])]
    messages = [complaint.message for complaint in complaints]
    said = "; ".join(dict.fromkeys(messages))
    body_decides = any(answer.status in statuses for statuses in _BODY_DECIDES)
    chief = next((complaint for complaint in complaints if complaint.key is not Fault.BUSINESS), complaints[0])
    is_plain = blame is None or (len({complaint.key for complaint in complaints}) == 1 and not _holds_something(data))
    if chief.key is not Fault.BUSINESS and is_plain:
        error = answer.failure(chief.key, said, retry_after=chief.wait(datetime.now(UTC)) or answer.retry_after)
        if blame is not None and chief.key == 403 and body_decides:
            error.executed = Executed.UNKNOWN  # its words were only guessed at
        return error
    if not body_decides:
        return answer.error(f"HTTP {answer.status}: {said}")
    culprits = blame(messages) if blame is not None else None
    if culprits is None:
        return answer.failure(Fault.BUSINESS, said)
    # Whether the rows before a bad one are kept is documented nowhere: such an error proves nothing about them.
    facts = {"executed": Executed.UNKNOWN, "answered": True, "http_status": answer.status}
    return Refused(said, culprits=culprits, **facts)


def _holds_something(data: Any) -> bool:
    return isinstance(data, Mapping) and any(value is not None for value in data.values())


def seconds_until(moment: Any, now: datetime) -> float | None:
    """The seconds until ``resetAt``, at least one, at most six hours; ``None`` if its form is not recognised.

    Recognised are ISO 8601 with or without an offset, Unix time in seconds or milliseconds, and seconds from now. What
    lies further back than clocks differ was meant in another way than we read it: to call again at once would cost.
    """
    at = _moment(moment, now)
    if at is None or at < now - CLOCKS_DIFFER:
        return None
    return min(max((at - now).total_seconds(), 1.0), LONGEST_WAIT)


def _moment(value: Any, now: datetime) -> datetime | None:
    text = str(value).strip()
    try:
        if re.fullmatch(r"\d+(\.\d+)?", text):
            number = float(text)
            if number < 10**8:
                return now + timedelta(seconds=number)
            return datetime.fromtimestamp(number / 1000 if number > 10**11 else number, UTC)
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return at if at.tzinfo else _from_local(at)


def _from_local(at: datetime) -> datetime:
    try:
        return at.replace(tzinfo=ZoneInfo("Europe/Oslo"))
    except ZoneInfoNotFoundError:  # a system without time zones: CET is never too early
        return (at - timedelta(hours=1)).replace(tzinfo=UTC)
