"""Nouns are applied once, in order, and are frozen from then on."""

from __future__ import annotations

import pytest

from tests.fix_migrate import Source
from tests.fix_postgres import Database
from worker.migrate import MigrationError


def refused(source: Source, database: Database, *, check: bool = False) -> str:
    with pytest.raises(MigrationError) as raised:
        source.migrate(database, check=check)
    return str(raised.value)


def test_nouns_are_applied_once_in_order_and_written_down(source: Source, empty_database: Database) -> None:
    source.noun("0010_later.sql", "insert into bilag.claims values (10);")
    source.noun("0009_sooner.sql", "insert into bilag.claims values (9);")

    assert source.migrate(empty_database).applied == (
        "0001_ground.sql", "0002_claims.sql", "0009_sooner.sql", "0010_later.sql",
    )  # fmt: skip
    assert source.migrate(empty_database).applied == ()
    assert empty_database.sql("select id from bilag.claims order by ctid") == [(9,), (10,)]
    assert empty_database.sql("select version, name from bilag_internal.migrations order by applied_at") == [
        (1, "0001_ground.sql"), (2, "0002_claims.sql"), (9, "0009_sooner.sql"), (10, "0010_later.sql"),
    ]  # fmt: skip


def test_a_new_noun_is_applied_to_a_database_that_has_the_others(source: Source, empty_database: Database) -> None:
    source.migrate(empty_database)
    source.noun("0003_more.sql", "alter table bilag.claims add note text;")
    assert source.migrate(empty_database).applied == ("0003_more.sql",)


@pytest.mark.parametrize("check", [False, True])
def test_an_edited_noun_is_refused_by_its_name(source: Source, empty_database: Database, check: bool) -> None:
    source.migrate(empty_database)
    source.noun("0002_claims.sql", "create table bilag.claims (id bigint primary key);")
    assert refused(source, empty_database, check=check).startswith(
        "migrations/0002_claims.sql was edited after it was applied: migrations are frozen"
    )


def test_other_line_endings_are_no_edit(source: Source, empty_database: Database) -> None:
    source.noun("0003_two_lines.sql", "select 1;\nselect 2;\n")
    source.migrate(empty_database)
    source.noun("0003_two_lines.sql", "select 1;\r\nselect 2;\r\n")
    assert not source.migrate(empty_database).changed


def test_a_database_that_is_ahead_is_left_alone(source: Source, empty_database: Database) -> None:
    newer = source.noun("0003_newer.sql", "select 1;")
    source.migrate(empty_database)
    newer.unlink()
    assert refused(source, empty_database) == (
        "The database has 0003_newer.sql, which this version of Bilag does not know: use the newer version."
    )


def test_a_number_below_one_that_is_applied_is_refused(source: Source, empty_database: Database) -> None:
    source.noun("0005_five.sql", "select 1;")
    source.migrate(empty_database)
    source.noun("0004_four.sql", "select 1;")
    assert refused(source, empty_database) == (
        "migrations/0004_four.sql comes before 0005_five.sql, which the database already has: give it a later number."
    )


def test_two_files_of_one_number_are_refused(source: Source, empty_database: Database) -> None:
    source.noun("0002_twin.sql", "select 1;")
    assert refused(source, empty_database).startswith("0002_claims.sql and 0002_twin.sql have the same number")


@pytest.mark.parametrize("name", ["3_short.sql", "later.sql", "0003-dash.sql"])
def test_a_file_by_another_name_is_refused(source: Source, empty_database: Database, name: str) -> None:
    source.noun(name, "select 1;")
    assert refused(source, empty_database) == f"migrations/{name} is not named NNNN_name.sql."


@pytest.mark.parametrize("word", ["begin", "commit", "rollback", "savepoint s"])
def test_a_noun_may_not_end_its_own_transaction(source: Source, empty_database: Database, word: str) -> None:
    source.noun("0003_loose.sql", f"select 1;\n{word};\nselect 2;")
    assert refused(source, empty_database).startswith(
        f"migrations/0003_loose.sql, line 2: {word.split(maxsplit=1)[0]} cannot stand"
    )


def test_a_failing_noun_leaves_what_came_before_it_and_nothing_of_itself(
    source: Source, empty_database: Database
) -> None:
    source.noun("0003_broken.sql", "insert into bilag.claims values (1);\n\nselect 1,\n  nope;")
    assert refused(source, empty_database) == 'migrations/0003_broken.sql, line 4: column "nope" does not exist.'
    assert empty_database.value("select count(*) from bilag.claims") == 0

    source.noun("0003_broken.sql", "insert into bilag.claims values (1);")
    assert source.migrate(empty_database).applied == ("0003_broken.sql",)


def test_an_error_inside_a_function_names_the_line_too(source: Source, empty_database: Database) -> None:
    source.noun("0003_broken.sql", "select 1;\ndo $$\nbegin\n  perform nope();\nend $$;")
    assert "function nope() does not exist" in refused(source, empty_database)


def test_a_noun_for_what_the_server_has_is_only_written_down(source: Source, empty_database: Database) -> None:
    source.noun(
        "0003_stand_in.sql", "-- unless there is a schema standin\ncreate schema standin; create table standin.t();"
    )
    empty_database.sql("create schema standin")
    assert "0003_stand_in.sql" in source.migrate(empty_database).applied
    assert empty_database.value("select to_regclass('standin.t')") is None
    assert not source.migrate(empty_database).changed


def test_names_without_a_schema_are_not_made_somewhere_by_chance(source: Source, empty_database: Database) -> None:
    source.noun("0003_loose.sql", "create table loose ();")
    assert refused(source, empty_database).startswith("migrations/0003_loose.sql, line 1: permission denied")
