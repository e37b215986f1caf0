"""What Business Central's answers say when something failed: in any status, inside a batch or around it.

What is known, and from where (the marks are explained in ``dynamics365.py``):

* Errors are ``{"error": {"code", "message"}}``; the message ends with ``CorrelationId: …`` [MS].
* The outer 200 of a batch says only that it could be read [3P]. It was executed if there are as many answers as
  questions and each of them is 2xx. One failure reverts all, and still the earlier operations say 201 [MS, LIVE]; fewer
  answers than questions: not known [LIVE]. Answers are matched by ``id``, by position when all ids are null [MS].
* A deadlock is 409 ``Internal_ServerError``, or 400 with "deadlocked" in its text [3P].
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from worker.errors import AdapterError, Executed
from worker.faults import Fault, Key, failure, key_of
from worker.http import Answer

SAME_KEY = "Internal_EntityWithSameKeyExists"
"""What is to be made is there already [3P, LIVE]."""

_CORRELATION = re.compile(r"\s*CorrelationId:\s*[\w-]*\.?\s*$")
_PASSES = re.compile("deadlock|another user has already changed", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Complaint:
    """One error of Business Central. ``status`` is that of the answer, or of the operation inside a batch."""

    status: int
    code: str
    message: str

    @classmethod
    def of(cls, status: int, body: Any) -> Complaint | None:
        """The error in this body, whatever the status; ``None`` if it has none and the status is good."""
        error = body.get("error") if isinstance(body, Mapping) else None
        if isinstance(error, Mapping):
            return cls(status, str(error.get("code") or ""), _stripped(str(error.get("message") or "")))
        if error or status >= 300:
            return cls(status, "", _stripped(str(error)) if error else f"HTTP {status}")
        return None

    @property
    def passes(self) -> bool:
        """It is about the moment and not about what was asked: a lock, a limit, a system that fell over."""
        return self.status in (408, 409, 412, 429) or self.status >= 500 or bool(_PASSES.search(self.message))

    @property
    def is_definite(self) -> bool:
        """The system said no itself, in its own words, and did nothing."""
        return 400 <= self.status < 500 and self.status != 408


@dataclass(frozen=True, slots=True)
class Part:
    """The answer to one operation of a batch."""

    status: int
    body: Any

    @property
    def complaint(self) -> Complaint | None:
        return Complaint.of(self.status, self.body)


def error_of(answer: Answer, complaint: Complaint) -> AdapterError:
    """What an answer that holds an error means. An error in a good status is permanent: one try."""
    key: Key = key_of(answer.status, answer.retry_after)
    if answer.status < 300:
        key = Fault.BUSINESS
    elif complaint.passes and answer.status in (400, 409, 412):
        key = 500  # the system has stopped working on it, for a reason that passes
    return answer.failure(key, complaint.message, retry_after=answer.retry_after)


def inner_error(complaint: Complaint, *, writes: bool) -> AdapterError:
    """What the failure of an operation inside a batch means. A refused write has reverted the whole batch."""
    key: Key = Fault.BUSINESS if complaint.status < 300 else complaint.status
    if complaint.passes and complaint.status in (400, 409, 412):
        key = 500
    error = failure(key, complaint.message, writes=writes, http_status=complaint.status)
    if complaint.is_definite:
        error.executed = Executed.NO
    return error


def matched(answer: Answer, body: Any, count: int) -> list[Part | None]:
    """The answers of a batch in the order of its operations, which are numbered from 1.

    Two different answers to one operation, or answers that cannot be told apart, are no answers.
    """
    responses = body.get("responses") if isinstance(body, Mapping) else None
    if not isinstance(responses, list) or not all(isinstance(one, Mapping) for one in responses):
        raise answer.failure(Fault.NOT_JSON, "the answer is not that of a batch")
    parts = [(one.get("id"), Part(_status(one), one.get("body"))) for one in responses]
    if all(number is None for number, _part in parts):
        return [part for _number, part in parts] if len(parts) == count else [None] * count
    found: dict[str, Part | None] = {}
    for number, part in parts:
        known = found.setdefault(str(number), part)
        if known != part:
            found[str(number)] = None
    return [found.get(str(number)) for number in range(1, count + 1)]


def _status(response: Mapping[str, Any]) -> int:
    """An answer without a readable status says nothing good."""
    status = str(response.get("status"))
    return int(status) if status.isdecimal() else 500


def _stripped(message: str) -> str:
    return _CORRELATION.sub("", message).strip() or "an error without a message"
