"""What a look-up proves: from an adapter's findings to outcomes. What it does not prove stays in doubt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from worker.contract import Finding, Outcome, Presence, Verdict


def absence_counts(after_seconds: float | None, *, answered: bool) -> bool:
    """Whether "not found" may be believed right after a write failed.

    Yes if the system answered the write, for then nothing can still be on its way into it; otherwise only of a system
    whose ``absence_after`` is zero. ``None``: it can never prove absence. Later, in a look-up of its own, the database
    compares the times.
    """
    return after_seconds is not None and (answered or after_seconds <= 0)


def outcome_of(finding: Finding, *, believed: bool = True, absent: Verdict = Verdict.ABSENT) -> Outcome:
    """One finding as an outcome. ``believed``: absence counts, and ``absent`` is then the verdict; so if revoked."""
    verdict, reason = Verdict.UNKNOWN, None
    if finding.import_error is not None:
        verdict, reason = Verdict.IMPORT_ERROR, "import_error"
    elif finding.presence is Presence.WHOLE:
        verdict = Verdict.EXPORTED if finding.posted else Verdict.ACCEPTED
    elif finding.presence is Presence.ABSENT and (believed or finding.revoked):
        verdict = absent
    message = finding.import_error or finding.message
    params = {"message": message} if reason and message else {}
    return Outcome(
        finding.reference, verdict, finding.external_id, reason, params, message, revoked=finding.revoked, seen=True
    )


def standing_of(finding: Finding) -> Outcome:
    """The same for a voucher that was booked long ago: that only some of its lines are left is worth telling."""
    outcome = outcome_of(finding)
    if finding.presence is Presence.PARTIAL and outcome.verdict is Verdict.UNKNOWN:
        return replace(outcome, reason_code="partial")
    return outcome


def all_absent(findings: Iterable[Finding], references: Iterable[str]) -> bool:
    """Whether every one of these vouchers was looked for and none of it is there."""
    absent = {finding.reference for finding in findings if finding.presence is Presence.ABSENT}
    return set(references) <= absent


def after_refusal(
    findings: Sequence[Finding],
    culprits: Mapping[str, tuple[str, Mapping[str, Any]]],
    message: str,
    *,
    believed: bool,
) -> list[Outcome]:
    """What became of a batch that was answered with an error, by what a look-up then found.

    The vouchers that the error names are rejected once they are proven absent. The others never arrived. An error that
    names none rejects none: the batch is refused, and halved by the database.
    """
    absent = Verdict.UNSENT if culprits else Verdict.REFUSED
    outcomes = []
    for finding in findings:
        outcome = outcome_of(finding, believed=believed, absent=absent)
        if outcome.verdict is Verdict.REFUSED:
            outcome = Outcome(finding.reference, Verdict.REFUSED, message=message)
        elif outcome.verdict is Verdict.UNSENT and finding.reference in culprits:
            code, params = culprits[finding.reference]
            outcome = Outcome(finding.reference, Verdict.REJECTED, None, code, params, message)
        outcomes.append(outcome)
    return outcomes
