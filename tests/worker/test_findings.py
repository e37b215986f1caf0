"""What a look-up proves, and what it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from worker.contract import Finding, Presence, Verdict
from worker.findings import absence_counts, after_refusal, all_absent, outcome_of, standing_of

Culprits = Mapping[str, tuple[str, Mapping[str, Any]]]


@pytest.mark.parametrize(
    ("finding", "verdict"),
    [
        (Finding("A", Presence.WHOLE, posted=True, external_id="7"), Verdict.EXPORTED),
        (Finding("A", Presence.WHOLE), Verdict.ACCEPTED),
        (Finding("A", Presence.WHOLE, import_error="account 7140 is closed"), Verdict.IMPORT_ERROR),
        (Finding("A", Presence.ABSENT), Verdict.ABSENT),
        (Finding("A", Presence.PARTIAL, posted=True), Verdict.UNKNOWN),
        (Finding("A", Presence.UNKNOWN), Verdict.UNKNOWN),
    ],
)
def test_a_finding_becomes_an_outcome(finding: Finding, verdict: Verdict) -> None:
    outcome = outcome_of(finding)
    assert (outcome.reference, outcome.verdict, outcome.external_id) == ("A", verdict, finding.external_id)


def test_of_what_was_booked_it_is_told_that_some_of_it_is_left() -> None:
    part = standing_of(Finding("A", Presence.PARTIAL, posted=True, message="1 of 2 lines"))
    assert (part.verdict, part.reason_code, part.message) == (Verdict.UNKNOWN, "partial", "1 of 2 lines")
    refused = standing_of(Finding("A", Presence.PARTIAL, import_error="account 7140 is closed"))
    assert (refused.verdict, refused.reason_code) == (Verdict.IMPORT_ERROR, "import_error")
    assert standing_of(Finding("A", Presence.ABSENT)).reason_code is None


def test_an_import_error_carries_the_vendors_words() -> None:
    outcome = outcome_of(Finding("A", Presence.WHOLE, import_error="account 7140 is closed"))
    assert outcome.reason_code == "import_error"
    assert outcome.reason_params == {"message": "account 7140 is closed"}


def test_absence_that_is_not_believed_yet_is_unknown() -> None:
    assert outcome_of(Finding("A", Presence.ABSENT), believed=False).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("after", "answered", "counts"),
    [(0, False, True), (60, False, False), (60, True, True), (None, True, False), (None, False, False)],
)
def test_when_absence_counts(after: float | None, answered: bool, counts: bool) -> None:
    assert absence_counts(after, answered=answered) is counts


def test_all_absent_means_every_one_was_looked_for() -> None:
    absent = [Finding("A", Presence.ABSENT), Finding("B", Presence.ABSENT)]
    assert all_absent(absent, ["A", "B"])
    assert not all_absent(absent, ["A", "B", "C"])
    assert not all_absent([absent[0], Finding("B", Presence.UNKNOWN)], ["A", "B"])


def test_an_error_that_names_vouchers_rejects_those_and_lets_the_others_go_again() -> None:
    findings = [Finding(reference, Presence.ABSENT) for reference in "ABC"]
    culprits = {"B": ("account_unknown", {"code": "9999"})}
    outcomes = {o.reference: o for o in after_refusal(findings, culprits, "unknown account", believed=True)}
    assert {r: o.verdict for r, o in outcomes.items()} == {
        "A": Verdict.UNSENT,
        "B": Verdict.REJECTED,
        "C": Verdict.UNSENT,
    }
    assert (outcomes["B"].reason_code, outcomes["B"].reason_params) == ("account_unknown", {"code": "9999"})


def test_an_error_that_names_none_rejects_none() -> None:
    findings = [Finding(reference, Presence.ABSENT) for reference in "AB"]
    assert {o.verdict for o in after_refusal(findings, {}, "invalid", believed=True)} == {Verdict.REFUSED}


def test_a_refused_voucher_that_is_there_after_all_is_booked() -> None:
    findings = [Finding("A", Presence.WHOLE, posted=True), Finding("B", Presence.PARTIAL)]
    culprits: Culprits = {"A": ("account_unknown", {}), "B": ("account_unknown", {})}
    verdicts = [o.verdict for o in after_refusal(findings, culprits, "no", believed=True)]
    assert verdicts == [Verdict.EXPORTED, Verdict.UNKNOWN]


def test_a_refusal_from_a_system_that_cannot_prove_absence_leaves_all_in_doubt() -> None:
    findings = [Finding("A", Presence.ABSENT)]
    assert after_refusal(findings, {}, "no", believed=False)[0].verdict is Verdict.UNKNOWN
