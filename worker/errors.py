"""Everything that can go wrong on the way to an accounting system, as one tree.

    BilagError
    ├── AdapterError
    │   ├── Unavailable           nobody answered, or only a gateway or a maintenance page did
    │   ├── Timeout               no answer in time
    │   ├── RateLimited           asked to wait; ``retry_after`` says how long
    │   ├── Malformed             an answer that cannot be read
    │   ├── Unauthorized          the system refused the credential
    │   ├── Rejected              the system said no to the call as a whole: halving the batch would not help
    │   ├── Refused               the batch was answered with an error; ``culprits`` are the vouchers that it names
    │   ├── Misconfigured         the settings forbid the call; nothing left us
    │   └── TransformationError   what we were given cannot be made into a call; nothing left us
    ├── CredentialError
    │   ├── CredentialNotFoundError   there is none
    │   ├── CredentialExpiredError    its date has passed
    │   └── CredentialAccessError     it could not be read; wraps the cause
    ├── UnknownAdapterError       no adapter has this key
    └── UnexpectedError           anything else, described: a defect of ours

Every error says three things that decisions rest on: its class (transient, permanent, timeout), whether the call was
executed, and whether the system itself answered. A message is redacted, scrubbed and cut as the error is made, so it
may be stored as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from worker.redaction import message as presentable


class ErrorClass(StrEnum):
    """``timeout`` is a class of its own and counts as transient in every decision."""

    TRANSIENT = "transient"
    PERMANENT = "permanent"
    TIMEOUT = "timeout"


class Executed(StrEnum):
    """Whether the accounting system did what was asked. For a read the question does not arise: ``NO``."""

    NO = "no"
    UNKNOWN = "unknown"


class BilagError(Exception):
    """Any failure that Bilag knows by name.

    ``retry_after`` is the wait that the system asked for, in seconds. ``answered`` is true when the system itself
    answered, so that nothing of the call can still be on its way into it (a gateway's 504 does not prove that).
    ``reason_code`` is one of ``bilag.reasons``, or ``None`` where the class says enough.
    """

    error_class: ErrorClass = ErrorClass.PERMANENT
    http_status: int | None = None
    executed: Executed = Executed.NO
    answered: bool = False
    retry_after: float | None = None
    reason_code: str | None = None
    reason_params: Mapping[str, Any] = {}

    def __init__(self, message: str) -> None:
        self.message = presentable(message)
        super().__init__(self.message)

    @property
    def is_permanent(self) -> bool:
        return self.error_class is ErrorClass.PERMANENT


class AdapterError(BilagError):
    """A call to an accounting system failed. Made by :func:`worker.faults.failure` for what the table knows."""

    default_class: ClassVar[ErrorClass] = ErrorClass.TRANSIENT
    default_reason: ClassVar[str | None] = None

    def __init__(
        self,
        message: str,
        *,
        error_class: ErrorClass | None = None,
        http_status: int | None = None,
        executed: Executed = Executed.UNKNOWN,
        answered: bool = False,
        retry_after: float | None = None,
        reason_code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.error_class = error_class or self.default_class
        self.http_status = http_status
        self.executed = executed
        self.answered = answered
        self.retry_after = retry_after
        self.reason_code = reason_code or self.default_reason


class Unavailable(AdapterError):
    pass


class Timeout(AdapterError):
    default_class = ErrorClass.TIMEOUT


class RateLimited(AdapterError):
    default_reason = "rate_limited"


class Malformed(AdapterError):
    pass


class Unauthorized(AdapterError):
    """The system refused the credential. The integration pauses until the credential changes."""

    default_class = ErrorClass.PERMANENT
    default_reason = "credential_refused"


class Rejected(AdapterError):
    default_class = ErrorClass.PERMANENT


class Refused(AdapterError):
    """The batch was answered with an error about some of its vouchers, and whether the others were taken is not said.

    ``culprits`` maps the reference of each voucher that the error names to its reason code and parameters; empty when
    it names none. The batch is proven absent before anything is concluded from this.
    """

    default_class = ErrorClass.PERMANENT

    def __init__(
        self, message: str, *, culprits: Mapping[str, tuple[str, Mapping[str, Any]]] | None = None, **facts: Any
    ) -> None:
        super().__init__(message, **facts)
        self.culprits = dict(culprits or {})


class Misconfigured(AdapterError):
    default_class = ErrorClass.PERMANENT


class TransformationError(AdapterError):
    default_class = ErrorClass.PERMANENT

    def __init__(self, message: str) -> None:
        super().__init__(message, executed=Executed.NO)


class CredentialError(BilagError):
    """There is no credential to call with. Nothing left us."""


class CredentialNotFoundError(CredentialError):
    """The integration has no credential. ``integration_id`` names the secret that is missing."""

    http_status = 403
    reason_code = "credential_missing"

    def __init__(self, integration_id: UUID) -> None:
        super().__init__(f"There is no credential integration_{integration_id}_api_key.")
        self.integration_id = integration_id


class CredentialExpiredError(CredentialError):
    http_status = 403
    reason_code = "credential_expired"


class CredentialAccessError(CredentialError):
    """The credential could not be read. Raised ``from`` its cause, which ``__cause__`` keeps."""

    error_class = ErrorClass.TRANSIENT
    http_status = 500
    reason_code = "credential_unreadable"


class UnknownAdapterError(BilagError):
    pass


class UnexpectedError(BilagError):
    """An exception that nobody planned for. Whether the call was executed is then not known."""

    executed = Executed.UNKNOWN


def describe(error: BaseException) -> BilagError:
    """The error itself if it is one of ours, else its description as an :class:`UnexpectedError`."""
    return error if isinstance(error, BilagError) else UnexpectedError(f"{type(error).__name__}: {error}")
