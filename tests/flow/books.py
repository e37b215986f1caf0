"""The one question of every story: does the accounting system's own ledger hold what was approved, each claim once?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Claim:
    """An approved claim as the database knows it: the state of its latest item, if it has one."""

    number: str
    state: str | None
    reference: str | None
    amount: Decimal
    excluded: bool


@dataclass
class Verdict:
    """What the ledger says of the claims. Each list names claims or references; all but ``booked`` are faults.

    lost        approved, not rejected, and not in the ledger
    doubled     in the ledger more than once
    unexpected  in the ledger, though the database says that it is not, or knows nothing of it
    wrong       in the ledger with another sum, or out of balance
    unsettled   in doubt, accepted or under way: neither booked nor refused
    """

    booked: int = 0
    rejected: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        return not (self.lost or self.doubled or self.unexpected or self.wrong or self.unsettled)

    def __add__(self, other: Verdict) -> Verdict:
        mine, yours = vars(self), vars(other)
        return Verdict(**{name: mine[name] + yours[name] for name in mine})


def judge(claims: Sequence[Claim], vouchers: Sequence[Mapping[str, Any]]) -> Verdict:
    """Compare the claims of an organisation with the vouchers in its ledger."""
    times = Counter[str]()
    for voucher in vouchers:
        times[voucher["reference"]] += voucher["deliveries"]
    verdict = Verdict(booked=len(times), doubled=[f"{name}: {n}" for name, n in times.items() if n > 1])
    amounts = {claim.reference: claim.amount for claim in claims}
    for voucher in vouchers:
        right = Decimal(voucher["balance"]) == 0 and Decimal(voucher["debit"]) == amounts.get(voucher["reference"])
        if not right:
            verdict.wrong.append(voucher["reference"])
    for claim in claims:
        _place(claim, claim.reference in times, verdict)
    verdict.unexpected += sorted(set(times) - {claim.reference or "" for claim in claims})
    return verdict


def _place(claim: Claim, is_booked: bool, verdict: Verdict) -> None:
    if claim.state in ("in_doubt", "accepted", "sending"):
        verdict.unsettled.append(f"{claim.number} {claim.state}")
    elif claim.state == "rejected" or claim.excluded:
        verdict.rejected += 1
        if is_booked:
            verdict.unexpected.append(f"{claim.number} {claim.state}")
    elif not is_booked:
        verdict.lost.append(f"{claim.number} {claim.state}")
    elif claim.state != "exported":
        verdict.unexpected.append(f"{claim.number} {claim.state}")
