"""What a job and an adapter say to each other: vouchers go down, outcomes and findings come up.

Nothing here knows Postgres, the queue or any one accounting system. An adapter is a subclass of
:class:`Adapter` in ``worker/adapters/<key>.py``; it is found by its file name, introduces itself through
:class:`Capabilities` and its settings model, and gets for each call a :class:`Call` that carries
configuration without secrets, an HTTP client and an awaitable that fetches the credential.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit
from uuid import UUID

if TYPE_CHECKING:  # heavy imports stay out of the worker's start
    from pydantic import SecretStr

    from worker.frame import Frame
    from worker.http import Http
    from worker.settings_schema import AdapterSettings


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a voucher. ``amount`` is in the voucher's currency, debit positive, credit negative."""

    line_no: int
    account: str
    amount: Decimal
    description: str
    vat_code: str | None = None
    dimensions: Mapping[str, str] = field(default_factory=dict)
    subledger: str | None = None


@dataclass(frozen=True, slots=True)
class Voucher:
    """One claim as it is to be booked. Its lines sum to zero; the last one is the settlement.

    ``reference`` (20 characters of ``[A-Z0-9]``) is ours, the same in every attempt, and is what a look-up
    searches for. ``voucher_number`` is from our own sequence and never reused.
    """

    reference: str
    voucher_number: int
    revision: int
    claim_id: UUID
    claim_number: str
    posting_date: date
    document_date: date
    currency: str
    description: str
    lines: tuple[Line, ...]
    claimant_reference: str | None = None
    documentation_url: str | None = None


@dataclass(frozen=True, slots=True)
class Sending:
    """A voucher in one attempt. ``sent_at`` is when it was first marked to be sent: the system holds nothing older.

    ``recovered``: after a restore, the database may have forgotten that it was sent. ``last_look``: a person says that
    it is not booked.
    ``vehicle`` names what carries it at the vendor (a journal, say): stored before anything is sent, and another one in
    each attempt. It is ``None`` when it is not known, as after a restore. ``revocable`` is false while vouchers that
    were accepted travel in the same vehicle: a look-up may then not take it away.
    """

    voucher: Voucher
    attempt: int
    sent_at: datetime
    answered: bool = False
    external_id: str | None = None
    recovered: bool = False
    last_look: bool = False
    vehicle: str | None = None
    revocable: bool = True


@dataclass(frozen=True, slots=True)
class Batch:
    """What goes in one invocation: whole vouchers within the adapter's announced limits.

    What is posted together has one vehicle; what is looked up together may have come in several. ``only_reads``: the
    question is whether what was booked still stands, and the answer may change nothing there, not even tidy up.
    """

    correlation_id: UUID
    sendings: tuple[Sending, ...]
    only_reads: bool = False

    @property
    def vehicle(self) -> str | None:
        """The one that all of them travel in, if there is one."""
        vehicles = {sending.vehicle for sending in self.sendings}
        return vehicles.pop() if len(vehicles) == 1 else None

    @property
    def vouchers(self) -> tuple[Voucher, ...]:
        return tuple(sending.voucher for sending in self.sendings)


class Verdict(StrEnum):
    """What became of one voucher (architecture §5.6)."""

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


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an adapter can do and prove; announced to ``bilag.integration_types`` by ``bilag migrate``.

    ``absence_after``: after an unanswered write, absence counts only once this much time has passed, because
    the request may still be on its way into the system; unless a look-up has revoked what was on its way.
    ``None``: the adapter can never prove absence by waiting.
    ``hosts``: the vendor's own hosts; a URL in the settings to any other host is refused until it is allowed.
    ``identity_settings``: the settings that decide which ledger is reached.
    ``own_currency_when``: settings with which only the ledger's own currency is booked, although ``foreign_currency``.
    ``makes_file``: nothing is sent; every success carries its ``content``, and :meth:`Adapter.frame` what is around it.
    """

    vouchers_per_batch: int
    lines_per_batch: int
    parallel_calls: int = 1
    finds: bool = True
    confirms_later: bool = False
    needs_credential: bool = True
    foreign_currency: bool = False
    own_currency_when: Mapping[str, str] = field(default_factory=dict)
    makes_file: bool = False
    absence_after: timedelta | None = timedelta(0)
    hosts: tuple[str, ...] = ()
    identity_settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """All that an adapter gets for one invocation. It holds no secret; ``credential`` fetches it."""

    org_id: UUID
    integration_type: str
    settings: AdapterSettings
    http: Http
    credential: Callable[[], Awaitable[SecretStr]]
    correlation_id: UUID


def _urls(settings: AdapterSettings) -> list[str]:
    found = settings.model_dump()
    return [value for name, value in found.items() if name.endswith("_url") and isinstance(value, str)]


class Adapter(ABC):
    """One accounting system. Stateless: everything of one invocation is in its arguments.

    ``post``, ``find`` and ``confirm`` answer for every voucher of the batch, once each. They raise only the
    errors of :mod:`worker.errors`; any raised error of ``post`` that does not say "not executed" leaves the
    batch in doubt.
    """

    key: ClassVar[str]
    display_name: ClassVar[str]
    settings_model: ClassVar[type[AdapterSettings]]
    capabilities: ClassVar[Capabilities]

    @abstractmethod
    async def post(self, batch: Batch, call: Call) -> Sequence[Outcome]:
        """Send the vouchers once. No retry inside except on an answer that says "not executed"."""

    @abstractmethod
    async def find(self, batch: Batch, call: Call) -> Sequence[Finding]:
        """Look the vouchers up in the direction they travel: queue, then ledger, then errors."""

    async def confirm(self, batch: Batch, call: Call) -> Sequence[Finding]:
        """Ask what became of vouchers that the system accepted. By default the same look-up as ``find``."""
        return await self.find(batch, call)

    def frame(self, settings: AdapterSettings) -> Frame | None:
        """What stands around the vouchers of a run's file. Asked of an adapter that makes files, after every batch."""
        return None

    async def warm(self, call: Call) -> None:
        """A scheduled run is near: open connections. Never asks for data; there is no credential at hand.

        By default a HEAD of the root of each URL in the settings. What it raises is let go.
        """
        for url in {f"{p.scheme}://{p.netloc}/" for p in map(urlsplit, _urls(call.settings)) if p.netloc}:
            await call.http.send("HEAD", url, writes=False)

    @abstractmethod
    async def check(self, call: Call) -> HealthResult:
        """The cheapest call that proves the connection, once, without a retry.

        What it raises is a result, too: RateLimited makes the connection degraded, any other error unreachable.
        """
