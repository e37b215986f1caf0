"""An alert is opened once per problem, counted while it lasts, and resolved by evidence."""

from __future__ import annotations

from typing import LiteralString

import psycopg
import pytest

from tests.fix_bilag import Bilag, Organisation

RAISE: LiteralString = "select bilag_internal.raise_alert(%s, %s, %s, 'xledger', %s)"


def test_the_same_problem_is_counted_and_not_opened_again(bilag: Bilag, org: Organisation) -> None:
    bilag.database.sql(RAISE, "run_failed", "a", org.id, "first words")
    bilag.advance(minutes=5)
    bilag.database.sql(RAISE, "run_failed", "a", org.id, "last words")
    ((count, message, lasted),) = bilag.database.sql(
        "select count, message, last_seen_at - opened_at from bilag.open_alerts"
    )
    assert (count, message, lasted.total_seconds()) == (2, "last words", 300)


def test_other_problems_and_other_kinds_are_alerts_of_their_own(bilag: Bilag, org: Organisation) -> None:
    for kind, problem in (("run_failed", "a"), ("run_failed", "b"), ("credential", "a")):
        bilag.database.sql(RAISE, kind, problem, org.id, "words")
    assert bilag.database.value("select count(*) from bilag.open_alerts") == 3


def test_a_resolved_alert_says_by_what_and_the_problem_may_come_again(bilag: Bilag, org: Organisation) -> None:
    bilag.database.sql(RAISE, "credential", "a", org.id, "words")
    bilag.database.sql("select bilag_internal.resolve_alert('credential', 'a', 'a new one')")
    bilag.database.sql("select bilag_internal.resolve_alert('credential', 'a', 'told twice')")
    assert bilag.database.sql("select resolution, resolved_at is null from bilag.alerts") == [("a new one", False)]
    bilag.database.sql(RAISE, "credential", "a", org.id, "words")
    assert bilag.database.sql("select count from bilag.open_alerts") == [(1,)]


def test_an_alert_has_a_known_kind(bilag: Bilag, org: Organisation) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        bilag.database.sql(RAISE, "boredom", "a", org.id, "words")


def test_the_worst_stands_first_with_its_runbook(bilag: Bilag, org: Organisation) -> None:
    for kind in ("export_slow", "run_failed", "doubled"):
        bilag.database.sql(RAISE, kind, "a", org.id, "words")
    rows = bilag.database.sql("select severity, organization, runbook from bilag.open_alerts")
    assert [(severity, organization) for severity, organization, _ in rows] == [
        ("critical", "Testlaget"), ("warning", "Testlaget"), ("info", "Testlaget"),
    ]  # fmt: skip
    assert all(runbook for _, _, runbook in rows)
