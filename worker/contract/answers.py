"""What comes up from an adapter: an outcome or a finding for every voucher, and how the connection is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What became of one voucher."""

    EXPORTED = "exported"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    REFUSED = "refused"
    ABSENT = "absent"
    UNSENT = "unsent"
    UNKNOWN = "unknown"
    IMPORT_ERROR = "import_error"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict on one voucher. ``reason_code`` is one of ``bilag.reasons``; with a success it is a remark.

    ``content`` is the voucher as it stands in the file, from an adapter that makes files. ``revoked``: as in a
    finding. ``seen``: a look-up found it, which says nothing of the attempt that made it.
    """

    reference: str
    verdict: Verdict
    external_id: str | None = None
    reason_code: str | None = None
    reason_params: Mapping[str, Any] = field(default_factory=dict)
    message: str | None = None
    content: bytes | None = None
    revoked: bool = False
    seen: bool = False


class Presence(StrEnum):
    """What a look-up can say of a voucher: all of its lines, some, none, or nothing certain."""

    WHOLE = "whole"
    PARTIAL = "partial"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """What the vendor holds of one voucher.

    ``posted`` is true when it was seen in the ledger, false when it is still on its way there (an import
    queue, an unposted journal). ``import_error`` is the vendor's message when its own import refused it
    while its copy is still there. ``revoked``: the look-up has seen to it that nothing of the attempt can
    arrive any more, so its absence counts at once; the vehicle is spent.
    """

    reference: str
    presence: Presence
    posted: bool = False
    external_id: str | None = None
    import_error: str | None = None
    message: str | None = None
    revoked: bool = False


class Health(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class HealthResult:
    """One check of one connection. ``latency_ms`` is the whole call, in milliseconds; ``None`` if nothing answered.

    ``reason_code`` ``rate_limited``: the system asked us to wait; it is then not checked for a day.
    """

    status: Health
    latency_ms: int | None
    checked_at: datetime
    error: str | None = None
    reason_code: str | None = None
