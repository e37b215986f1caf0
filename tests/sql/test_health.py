"""The last 96 checks, whoever writes them and in whatever order; and a status that never goes back in time."""

from __future__ import annotations

import random
import threading
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.fix_postgres import Connection, Database
from tests.sql.history import INSERT, kept, many

UPSERT = (
    "insert into bilag.integration_health_status as s (org_id, integration_type, status, latency_ms, checked_at)"
    " values (%s, 'xledger', %s, 10, %s) on conflict (org_id, integration_type) do update"
    " set status = excluded.status, checked_at = excluded.checked_at"
)


def latest(database: Database) -> tuple[int, int]:
    ((first, last),) = database.sql("select min(latency_ms), max(latency_ms) from bilag.health_check_history")
    return first, last


def test_of_a_hundred_inserted_at_once_the_latest_96_are_left(bilag: Bilag, org: Organisation) -> None:
    bilag.database.sql(INSERT, [org.id], 1, 100)
    assert kept(bilag.database) == {org.id: 96}
    assert latest(bilag.database) == (5, 100)


def test_of_a_hundred_inserted_one_by_one_the_latest_96_are_left(bilag: Bilag, org: Organisation) -> None:
    for n in range(1, 101):
        bilag.database.sql(INSERT, [org.id], n, n)
    assert kept(bilag.database) == {org.id: 96}
    assert latest(bilag.database) == (5, 100)


def test_it_is_pruned_before_the_commit_as_well(bilag: Bilag, org: Organisation) -> None:
    connection = bilag.database.connect(autocommit=False)
    connection.execute(INSERT, [[org.id], 1, 100])
    assert connection.execute("select count(*) from bilag.health_check_history").fetchone() == (96,)
    connection.rollback()


def test_the_service_role_prunes_by_inserting_and_removes_nothing_itself(bilag: Bilag, org: Organisation) -> None:
    with bilag.database.as_user(org.id, "service_role") as connection:
        connection.execute(INSERT, [[org.id], 1, 100])
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute("delete from bilag.health_check_history")
    assert kept(bilag.database) == {org.id: 96}


def test_a_row_that_is_older_than_all_others_is_the_one_that_goes(bilag: Bilag, org: Organisation) -> None:
    bilag.database.sql(INSERT, [org.id], 10, 105)
    bilag.database.sql(INSERT, [org.id], 1, 1)
    assert latest(bilag.database) == (10, 105)


def test_each_integration_keeps_its_own_96(bilag: Bilag, org: Organisation) -> None:
    other = bilag.organisation("Other")
    bilag.database.sql(INSERT, [org.id, other.id], 1, 100)
    bilag.database.sql(INSERT, [org.id], 101, 150)
    assert kept(bilag.database) == {org.id: 96, other.id: 96}


def test_a_transaction_that_is_rolled_back_removes_nothing_for_good(bilag: Bilag, org: Organisation) -> None:
    bilag.database.sql(INSERT, [org.id], 1, 96)
    first, second = bilag.database.connect(autocommit=False), bilag.database.connect(autocommit=False)
    first.execute(INSERT, [[org.id], 101, 105])
    second.execute(INSERT, [[org.id], 111, 111])
    second.commit()
    first.rollback()
    assert kept(bilag.database) == {org.id: 96}
    assert bilag.database.value("select count(*) from bilag_internal.health_pruning") == 0


def test_two_transactions_that_lengthen_the_same_history_wait_for_nobody(bilag: Bilag, org: Organisation) -> None:
    bilag.database.sql(INSERT, [org.id], 1, 96)
    connections = [bilag.database.connect(autocommit=False) for _ in range(3)]
    for n, connection in enumerate(connections):
        connection.execute("set local lock_timeout = '2s'")
        connection.execute(INSERT, [[org.id], 101 + n, 101 + n])
    for connection in reversed(connections):
        connection.commit()
    assert kept(bilag.database) == {org.id: 96}


def test_transactions_that_fill_a_history_up_together_leave_96(bilag: Bilag, org: Organisation) -> None:
    """None of them sees more than 96 before its commit."""
    bilag.database.sql(INSERT, [org.id], 1, 90)
    connections = [bilag.database.connect(autocommit=False) for _ in range(3)]
    for n, connection in enumerate(connections):
        connection.execute(INSERT, [[org.id], 101 + 10 * n, 105 + 10 * n])
    for connection in connections:
        connection.commit()
    assert kept(bilag.database) == {org.id: 96}


def write(connection: Connection, orgs: list[UUID], seed: int, seconds: float, troubles: list[Exception]) -> None:
    """Insert history of all organisations, several statements a transaction, in an order of one's own."""
    dice = random.Random(seed)  # noqa: S311 - dice guard nothing
    until = time.monotonic() + seconds
    n = seed
    while time.monotonic() < until:
        order = dice.sample(orgs, len(orgs))
        n += 8
        try:
            with connection.transaction():
                if dice.random() < 0.5:
                    connection.execute(INSERT, [order, n, n + dice.randrange(8)])
                else:
                    for org in order:
                        connection.execute(INSERT, [[org], n, n])
        except psycopg.Error as error:
            troubles.append(error)


def test_eight_writers_in_any_order_leave_exactly_96_and_never_lock_each_other(bilag: Bilag) -> None:
    orgs = many(bilag, 5)
    bilag.database.sql(INSERT, orgs, -95, 0)
    troubles: list[Exception] = []
    writers = [
        threading.Thread(target=write, args=(bilag.database.connect(), orgs, seed, 4.0, troubles)) for seed in range(8)
    ]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert set(kept(bilag.database).values()) == {96}
    for writer in writers:
        writer.join()
    assert troubles == []
    assert kept(bilag.database) == dict.fromkeys(orgs, 96)


def test_an_older_check_never_overwrites_a_newer_one_whoever_writes(bilag: Bilag, org: Organisation) -> None:
    earlier = NOON - timedelta(minutes=1)
    for status, at, then in (
        ("healthy", NOON, "healthy"),
        ("unreachable", earlier, "healthy"),
        ("degraded", NOON, "degraded"),
    ):
        bilag.database.sql(UPSERT, org.id, status, at)
        rows = bilag.database.sql("select status, checked_at from bilag.integration_health_status")
        assert rows == [(then, NOON)]


def test_members_of_another_organisation_see_no_health_of_this_one(bilag: Bilag, org: Organisation) -> None:
    bilag.database.sql(UPSERT, org.id, "healthy", NOON)
    bilag.database.sql(INSERT, [org.id], 1, 3)
    stranger, member = bilag.organisation("Other").member(), org.member("member")
    for user, rows in ((member, 1), (stranger, 0)):
        with bilag.database.as_user(user) as connection:
            found = connection.execute("select * from bilag.integration_health_status").fetchall()
            past = connection.execute("select * from bilag.health_check_history").fetchall()
        assert (len(found), len(past)) == (rows, 3 * rows)


@pytest.mark.parametrize("table", ["integration_health_status", "health_check_history"])
def test_only_the_service_writes_health(bilag: Bilag, org: Organisation, table: str) -> None:
    statement = (
        f"insert into bilag.{table} (org_id, integration_type, status, checked_at) values (%s, 'xledger', %s, now())"
    )
    for user, role, code in ((org.member(), "authenticated", "42501"), (org.id, "service_role", None)):
        error: Any = None
        try:
            with bilag.database.as_user(user, role) as connection:
                connection.execute(statement.encode(), [org.id, "healthy"])
        except psycopg.Error as caught:
            error = caught.sqlstate
        assert error == code


def test_a_status_that_is_none_is_refused(bilag: Bilag, org: Organisation) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        bilag.database.sql(UPSERT, org.id, "sleepy", NOON)
