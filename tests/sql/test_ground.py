"""The clock that tests own, the contract, and how a caller's mistake is told."""

from __future__ import annotations

import itertools
import re
from datetime import timedelta

import psycopg
import pytest

from tests.fix_bilag import NOON
from tests.fix_postgres import Database
from tests.sql.refusals import refused
from tests.sql.rooms import room, rooms
from worker.version import CONTRACT


def test_the_clock_runs_until_it_is_stopped_and_runs_again_after(database: Database) -> None:
    database.set_clock(NOON)
    assert database.value("select bilag_internal.now()") == NOON
    database.advance(timedelta(hours=2))
    assert database.value("select bilag_internal.now()") == NOON + timedelta(hours=2)
    database.set_clock(None)
    assert database.value("select bilag_internal.now() = now()")


def test_advancing_a_running_clock_stops_it(database: Database) -> None:
    database.advance(timedelta(days=1))
    first = database.value("select bilag_internal.now()")
    assert database.value("select bilag_internal.now()") == first
    assert database.value("select bilag_internal.now() > now() + interval '23 hours'")


def test_one_session_sees_the_clock_that_another_has_moved(database: Database) -> None:
    other = database.connect()
    for hours in (1, 2):
        database.set_clock(NOON + timedelta(hours=hours))
        assert other.execute("select bilag_internal.now()").fetchone() == (NOON + timedelta(hours=hours),)


def test_nobody_but_the_owner_moves_the_clock(catalogue: Database) -> None:
    roles = ("anon", "authenticated", "service_role", "bilag_worker", "bilag_observer")
    for role, call in itertools.product(roles, ("set_clock(now())", "advance_clock('1 day')")):
        with (
            catalogue.as_user("00000000-0000-0000-0000-000000000001", role) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(f"select bilag_internal.{call}".encode())


def test_worker_and_database_keep_the_same_contract(database: Database) -> None:
    assert database.value("select bilag_internal.contract()") == CONTRACT
    assert database.value("select contract from bilag.installation") == CONTRACT


def test_a_mistake_is_told_by_code_sentence_and_hint(database: Database) -> None:
    with refused("KB001", "That was wrong."):
        database.sql("select bilag_internal.complain('KB001', 'That was wrong.', 'Do it right.')")
    with pytest.raises(psycopg.Error) as caught:
        database.sql("select bilag_internal.complain('KB001', 'That was wrong.', 'Do it right.')")
    assert caught.value.diag.message_hint == "Do it right."


def test_every_code_that_a_room_raises_is_listed_in_the_ground(database: Database) -> None:
    listed = set(room("00_ground.sql").split("Every verb asks")[0].replace("\n", " ").split())
    raised = set(re.findall(r"'(KB0\d\d)'", "\n".join(rooms().values())))
    assert raised
    assert raised <= {word for word in listed if word.startswith("KB0")}


def arguments(call: str) -> int:
    """How many arguments there are after an opening parenthesis; commas within quotes and calls do not count."""
    depth, commas, quoted = 1, 0, False
    for letter in call:
        quoted ^= letter == "'"
        if not quoted:
            depth += (letter == "(") - (letter == ")")
            commas += letter == "," and depth == 1
        if depth == 0:
            return commas + 1
    raise AssertionError("the call does not end")


def test_every_mistake_is_told_with_what_to_do() -> None:
    told = 0
    for name, text in rooms().items():
        for call in re.finditer(r"perform bilag_internal\.complain\(", text):
            rest = text[call.end() :]
            if rest.startswith("'KB001', fault)"):
                continue  # upsert_claims: the sentence says what there is
            assert arguments(rest) == 3, f"{name}: {rest[:100]}"
            told += 1
    assert told > 60
