"""Two people ask at once: the lane decides who is second."""

from __future__ import annotations

from datetime import date
from typing import LiteralString

import psycopg
import pytest

from tests.fix_bilag import Organisation
from tests.fix_postgres import Database
from tests.sql.sessions import only, two_sessions

REQUEST: LiteralString = "select bilag.request_export(%s, 'xledger', %s, %s)"


@pytest.mark.parametrize("key", ["march", None])
def test_two_sessions_that_ask_for_the_same_get_one_run(database: Database, org: Organisation, key: str | None) -> None:
    with two_sessions(database) as (first, second):
        one = only(first.run(REQUEST, org.id, None, key))
        asked = second.start(REQUEST, org.id, None, key)
        assert second.is_blocked(asked)
        first.commit()
        assert only(asked.result(20)) == one
        second.commit()
    assert database.value("select count(*) from bilag.export_runs") == 1


def test_two_sessions_that_use_a_key_for_different_periods_are_one_run_and_one_refusal(
    database: Database, org: Organisation
) -> None:
    with two_sessions(database) as (first, second):
        first.run(REQUEST, org.id, date(2026, 2, 28), "k")
        asked = second.start(REQUEST, org.id, date(2026, 3, 31), "k")
        assert second.is_blocked(asked)
        first.commit()
        with pytest.raises(psycopg.Error) as caught:
            asked.result(20)
        assert caught.value.sqlstate == "KB005"


def test_a_request_whose_transaction_is_rolled_back_leaves_the_second_one_its_own_run(
    database: Database, org: Organisation
) -> None:
    with two_sessions(database) as (first, second):
        lost = only(first.run(REQUEST, org.id, None, None))
        asked = second.start(REQUEST, org.id, None, None)
        assert second.is_blocked(asked)
        first.connection.rollback()
        assert only(asked.result(20)) != lost
        second.commit()
    assert database.value("select count(*) from bilag.export_runs") == 1


def test_requests_of_different_integrations_do_not_wait_for_each_other(database: Database, org: Organisation) -> None:
    other = Organisation(database, "Other", "Europe/Oslo")
    other.integration()
    with two_sessions(database) as (first, second):
        first.run(REQUEST, org.id, None, None)
        asked = second.start(REQUEST, other.id, None, None)
        assert not second.is_blocked(asked)
