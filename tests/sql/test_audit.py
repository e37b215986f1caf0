"""Append-only, hash-chained per organisation, and able to say which link was broken."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.chains import AUDIT, chain, verdict
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused
from tests.sql.sessions import two_sessions


def test_a_whole_chain_is_whole(org: Organisation, worker: FakeWorker) -> None:
    chain(org)
    org.claim("C-1")
    org.request()
    worker.work()
    assert verdict(org) is None
    assert org.database.value("select count(*) from bilag.bufdir_export_audit_log") == 7


def test_an_organisation_without_a_chain_has_nothing_to_hide(org: Organisation) -> None:
    assert verdict(org) is None


CHANGES: list[LiteralString] = [
    "update bilag.bufdir_export_audit_log set note = 'x'",
    "delete from bilag.bufdir_export_audit_log",
    "truncate bilag.bufdir_export_audit_log",
]


def test_nobody_changes_the_log_not_even_its_owner(org: Organisation) -> None:
    chain(org)
    for change in CHANGES:
        with refused("KB006", "append-only"):
            org.database.sql(change)
    for role in ("authenticated", "service_role", "bilag_worker", "bilag_observer", "anon"):
        for change in [*CHANGES, "insert into bilag.bufdir_export_audit_log default values"]:
            with org.database.as_user(uuid4(), role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(change.encode())
    assert verdict(org) is None


def test_a_session_that_plays_the_replica_changes_nothing_either(org: Organisation) -> None:
    chain(org)
    connection = org.database.connect()
    connection.execute("set session_replication_role = replica")
    for change in [*CHANGES, "truncate bilag.organizations cascade"]:
        with refused("KB006", "append-only"):
            connection.execute(change)
    assert verdict(org) is None


def test_two_sessions_append_one_after_the_other_without_a_gap(database: Database, org: Organisation) -> None:
    with two_sessions(database) as (first, second):
        first.run(AUDIT, org.id, "one")
        waiting = second.start(AUDIT, org.id, "two")
        assert second.is_blocked(waiting)
        first.commit()
        waiting.result(20)
        second.commit()
    assert database.sql("select sequence, action from bilag.bufdir_export_audit_log order by id") == [
        (1, "one"),
        (2, "two"),
    ]
    assert verdict(org) is None


def test_a_rolled_back_event_leaves_no_gap(database: Database, org: Organisation) -> None:
    with two_sessions(database) as (first, second):
        first.run(AUDIT, org.id, "never")
        waiting = second.start(AUDIT, org.id, "one")
        assert second.is_blocked(waiting)
        first.connection.rollback()
        waiting.result(20)
        second.commit()
    assert database.sql("select sequence, action from bilag.bufdir_export_audit_log") == [(1, "one")]
    assert verdict(org) is None


def test_the_end_of_a_run_waits_for_no_persons_open_transaction_and_is_chained_after_it(
    database: Database, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    run = org.request()
    job = worker.claim_one()
    with two_sessions(database) as (person, _):
        person.run(AUDIT, org.id, "typing")
        worker.settle(job)
        assert org.status(run)["status"] == "succeeded"
        person.commit()
    org.database.sql(AUDIT, org.id, "later")
    actions = org.database.sql("select action from bilag.bufdir_export_audit_log order by sequence")
    assert actions == [("run.requested",), ("typing",), ("run.succeeded",), ("later",)]
    assert verdict(org) is None


def test_what_waits_for_its_place_is_chained_by_the_next_tick(
    database: Database, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    job = worker.claim_one()
    with two_sessions(database) as (person, _):
        person.run(AUDIT, org.id, "typing")
        worker.settle(job)
        person.commit()
    worker.tick()
    actions = org.database.sql("select action from bilag.bufdir_export_audit_log order by sequence")
    assert actions == [("run.requested",), ("typing",), ("run.succeeded",)]
    assert database.value("select count(*) from bilag_internal.audit_waiting") == 0


def test_what_waited_keeps_its_own_time_login_and_person(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    person = org.member()
    org.claim("C-1")
    run = org.request()
    job = worker.claim_one()
    with two_sessions(bilag.database) as (typing, _):
        typing.run(AUDIT, org.id, "typing")
        worker.settle(job)
        typing.commit()
    org.database.sql("update bilag_internal.audit_waiting set acted_as = 'bilag_worker_17'")
    bilag.advance(minutes=10)
    with bilag.database.as_user(person) as connection:
        connection.execute("select bilag.pause_integration(%s, 'xledger', 'stocktaking')", [org.id])
    login = bilag.database.value("select session_user::text")
    links = bilag.database.sql(
        "select action, acted_as, user_id, bilag_internal.now() - occurred_at from bilag.bufdir_export_audit_log"
        " where action in ('run.succeeded', 'integration.paused') and coalesce(run_id, %s) = %s order by sequence",
        run,
        run,
    )
    assert links == [
        ("run.succeeded", "bilag_worker_17", None, timedelta(minutes=10)),
        ("integration.paused", login, person, timedelta(0)),
    ]
    assert verdict(org) is None


def test_chains_of_different_organisations_do_not_wait_for_each_other(bilag: Bilag, org: Organisation) -> None:
    other = bilag.organisation("Other")
    with two_sessions(bilag.database) as (first, second):
        first.run(AUDIT, org.id, "one")
        assert not second.is_blocked(second.start(AUDIT, other.id, "one"))


def test_many_entries_of_many_organisations_are_chained_in_one_call(bilag: Bilag, org: Organisation) -> None:
    other = bilag.organisation("Other")
    bilag.database.sql(
        "select bilag_internal.audit_many(array(select (case mod(n, 2) when 0 then %s::uuid else %s end, 'event ' || n,"
        " null, null, null, '{}', null)::bilag_internal.audit_entry from generate_series(1, 10) as n))",
        org.id,
        other.id,
    )
    for each in (org, other):
        assert verdict(each) is None
    events = bilag.database.sql(
        "select action from bilag.bufdir_export_audit_log where org_id = %s order by sequence", org.id
    )
    assert events == [("event 2",), ("event 4",), ("event 6",), ("event 8",), ("event 10",)]


def test_the_log_names_login_and_person(bilag: Bilag, org: Organisation) -> None:
    person = org.member()
    with bilag.database.as_user(person) as connection:
        connection.execute("select bilag.pause_integration(%s, 'xledger', 'stocktaking')", [org.id])
    login = bilag.database.value("select session_user::text")
    ((acted_as, user, note),) = bilag.database.sql("select acted_as, user_id, note from bilag.bufdir_export_audit_log")
    assert (acted_as, user, note) == (login, person, "stocktaking")


def test_the_log_has_no_names_of_people(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    claim = org.claim("C-1", claimant_name="Kari Nordmann")
    bilag.database.sql("select bilag.exclude_claim(%s, 'xledger', 'why')", claim)
    bilag.database.sql("select bilag.include_claim(%s, 'xledger')", claim)
    org.request()
    worker.work()
    rows = bilag.database.sql("select to_jsonb(a)::text from bilag.bufdir_export_audit_log a")
    assert len(rows) == 4
    assert not any("Nordmann" in row for (row,) in rows)


def test_eight_writers_at_once_leave_one_whole_chain_each(bilag: Bilag, org: Organisation) -> None:
    other = bilag.organisation("Other")

    def write(number: int) -> None:
        with bilag.database.connect() as connection:
            for n in range(25):
                mine = (org, other)[(number + n) % 2]
                connection.execute(AUDIT, [mine.id, f"writer {number}, event {n}"])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    for each in (org, other):
        assert verdict(each) is None
        assert bilag.database.value(
            "select (count(*), max(sequence)) = (100, 100) from bilag.bufdir_export_audit_log where org_id = %s",
            each.id,
        )


def test_what_stops_everything_is_a_link_in_every_chain(bilag: Bilag, org: Organisation) -> None:
    other = bilag.organisation("Other")
    bilag.database.sql("select bilag.pause_everything('flood in the cellar')")
    bilag.database.sql("select bilag.resume_everything()")
    bilag.database.sql("select bilag_internal.recover(%s)", NOON)
    for each in (org, other):
        assert bilag.database.sql(
            "select action, note from bilag.bufdir_export_audit_log where org_id = %s order by sequence", each.id
        ) == [
            ("installation.paused", "flood in the cellar"),
            ("installation.resumed", None),
            ("installation.recovered", None),
        ]
