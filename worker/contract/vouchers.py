"""What goes down to an adapter: a voucher, the attempt it is sent in, and the batch it travels in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID


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
