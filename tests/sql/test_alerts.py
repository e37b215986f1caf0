"""An alert is opened once per problem, counted while it lasts, and resolved by evidence."""

from __future__ import annotations

from pathlib import Path
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker, failed
from tests.sql.refusals import refused
from tests.sql.sessions import two_sessions

HOLD: LiteralString = "select 1 from bilag.alerts for update"
RESOLVE: LiteralString = "select bilag_internal.resolve_alert(%s, %s, %s)"
RUNBOOK = Path(__file__).parents[2] / "docs" / "operations.md"
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


def test_every_kind_has_its_line_in_the_runbook_as_the_view_tells_it(catalogue: Database) -> None:
    lines = [line.split("|") for line in RUNBOOK.read_text().splitlines() if line.startswith("| `")]
    told = {cells[1].strip(" `"): (cells[2].strip(), cells[-2].strip()) for cells in lines if len(cells) >= 6}
    kinds = catalogue.sql("select kind, severity, runbook from bilag.alert_kinds")
    assert len(kinds) > 10
    for kind, severity, runbook in kinds:
        assert told.get(kind) == (severity, runbook), kind


def test_who_raises_an_alert_waits_for_nobody_who_holds_it(database: Database, bilag: Bilag, org: Organisation) -> None:
    bilag.database.sql(RAISE, "run_failed", "a", org.id, "first words")
    with two_sessions(database) as (person, machine):
        person.run(HOLD)
        for words in ("second", "third"):
            bilag.advance(seconds=1)
            raising = machine.start(RAISE, "run_failed", "a", org.id, words)
            assert not machine.is_blocked(raising)
            machine.commit()
        bilag.database.sql("select bilag_internal.place_words()")  # still held: it waits on
        person.commit()
    assert bilag.database.sql("select message, count from bilag.open_alerts") == [("first words", 1)]
    assert bilag.database.value("select count(*) from bilag_internal.alerts_waiting") == 1, "one row however often"
    bilag.database.sql("select bilag_internal.place_words()")
    assert bilag.database.sql("select message, count from bilag.open_alerts") == [("third", 2)]
    assert bilag.database.value("select count(*) from bilag_internal.alerts_waiting") == 0


def test_who_raises_an_alert_waits_for_nobody_who_is_opening_it(
    database: Database, bilag: Bilag, org: Organisation
) -> None:
    with two_sessions(database) as (first, second):
        first.run(RAISE, "run_failed", "a", org.id, "first")
        raising = second.start(RAISE, "run_failed", "a", org.id, "second")
        assert not second.is_blocked(raising)
        second.commit()
        first.commit()
    bilag.database.sql("select bilag_internal.place_words()")
    assert bilag.database.sql("select message, count from bilag.open_alerts") == [("second", 2)]


def test_evidence_waits_for_nobody_and_closes_what_was_not_seen_since(
    database: Database, bilag: Bilag, org: Organisation
) -> None:
    for problem in ("over", "again"):
        bilag.database.sql(RAISE, "run_failed", problem, org.id, "words")
    with two_sessions(database) as (person, machine):
        person.run(HOLD)
        bilag.advance(seconds=1)
        for problem in ("over", "again"):
            resolving = machine.start(RESOLVE, "run_failed", problem, "it ended")
            assert not machine.is_blocked(resolving)
            machine.commit()
        person.commit()
    bilag.advance(seconds=1)
    bilag.database.sql(RAISE, "run_failed", "again", org.id, "seen after the evidence")
    bilag.database.sql("select bilag_internal.place_words()")
    assert bilag.database.sql("select problem_key, resolution from bilag.alerts order by 1") == [
        ("again", None),
        ("over", "it ended"),
    ]


def test_what_came_and_went_while_somebody_held_the_alert_opens_nothing(
    database: Database, bilag: Bilag, org: Organisation
) -> None:
    bilag.database.sql(RAISE, "run_failed", "a", org.id, "words")
    with two_sessions(database) as (person, machine):
        person.run(HOLD)
        bilag.advance(seconds=1)
        machine.run(RAISE, "run_failed", "a", org.id, "more")
        machine.run(RESOLVE, "run_failed", "a", "it ended")
        machine.commit()
        person.commit()
    bilag.database.sql("select bilag_internal.place_words()")
    assert bilag.database.sql("select count, resolution from bilag.alerts") == [(1, "it ended")]


def test_settling_waits_for_nobody_who_holds_an_alert(
    database: Database, org: Organisation, worker: FakeWorker
) -> None:
    org.database.sql(
        RAISE, "run_failed", str(org.database.value("select id from bilag.integration_config")), org.id, "x"
    )
    org.claim("C-1")
    org.request()
    job = worker.claim_one()
    with two_sessions(database) as (person, _):
        person.run(HOLD)
        worker.settle(job, "unsent", failure=failed("permanent"))
        worker.tick()
        person.commit()
    worker.tick()
    assert org.database.sql("select kind, count from bilag.open_alerts") == [("run_failed", 2)]


def test_a_storm_of_alerts_takes_a_bounded_number_of_locks(bilag: Bilag, org: Organisation) -> None:
    connection = bilag.database.connect(autocommit=False)
    connection.execute(
        "select bilag_internal.raise_alert('run_failed', n::text, %s, 'xledger', 'words')"
        " from generate_series(1, 2000) n",
        [org.id],
    )
    locks = connection.execute("select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()")
    assert (locks.fetchone() or (0,))[0] <= 256
    connection.commit()
    assert bilag.database.value("select count(*) from bilag.open_alerts") == 2000


CLOSE: LiteralString = "select bilag.resolve_alert(%s, %s)"


def opened(bilag: Bilag, org: Organisation | None, kind: str = "doubled") -> int:
    bilag.database.sql(RAISE, kind, "a", org.id if org else None, "words")
    return int(bilag.database.value("select max(id) from bilag.alerts"))


def test_a_finance_admin_closes_an_alert_with_a_note_and_it_is_audited(bilag: Bilag, org: Organisation) -> None:
    alert = opened(bilag, org)
    with bilag.database.as_user(org.member()) as connection:
        connection.execute(CLOSE, [alert, "Deleted voucher 17 in Xledger."])
    assert bilag.database.sql("select resolution from bilag.alerts") == [("Deleted voucher 17 in Xledger.",)]
    rows = bilag.database.sql(
        "select note, details ->> 'kind' from bilag.bufdir_export_audit_log where action = 'alert.resolved'"
    )
    assert rows == [("Deleted voucher 17 in Xledger.", "doubled")]
    with refused("KB004", "was resolved at"):
        bilag.database.sql(CLOSE, alert, "again")


def test_a_member_a_stranger_an_empty_note_and_no_alert_are_refused(bilag: Bilag, org: Organisation) -> None:
    alert = opened(bilag, org)
    for person, code in ((org.member("member"), "KB003"), (bilag.organisation("Other").member(), "KB002")):
        with refused(code), bilag.database.as_user(person) as connection:
            connection.execute(CLOSE, [alert, "mine"])
    with refused("KB001", "note is empty"):
        bilag.database.sql(CLOSE, alert, "  ")
    with refused("KB002", "no alert 77777"):
        bilag.database.sql(CLOSE, 77777, "x")


def test_an_alert_of_the_whole_installation_is_for_service_and_owner(bilag: Bilag, org: Organisation) -> None:
    alert = opened(bilag, None, "server_changed")
    with refused("KB003", "whole installation"), bilag.database.as_user(org.member()) as connection:
        connection.execute(CLOSE, [alert, "mine"])
    with bilag.database.as_user(uuid4(), role="service_role") as connection:
        connection.execute(CLOSE, [alert, "The restore is done."])
    assert bilag.database.sql("select 1 from bilag.open_alerts") == []
