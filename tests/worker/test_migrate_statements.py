"""Statements end where psql ends them, whatever stands inside of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.migrate import MigrationError
from worker.migrate.statements import split


def texts(sql: str) -> list[str]:
    return [statement.text for statement in split(sql, "sql/a.sql")]


def test_statements_are_cut_at_semicolons_and_lose_them() -> None:
    assert texts("select 1; select 2;\nselect 3") == ["select 1", "select 2", "select 3"]


def test_nothing_but_comments_and_semicolons_is_no_statement() -> None:
    assert texts(" ;; -- select 1;\n/* select 2; */ ;") == []


@pytest.mark.parametrize(
    "statement",
    [
        "select 'a;b', 'it''s; fine'",
        r"select E'it\'s; escaped', e'\\'",
        'select 1 as "semi;colon ""quoted"""',
        "do $$ begin perform 1; end $$",
        "do $body$ select '$$'; $other$ ; $body$",
        "select 1 -- not here; nor here: '\n, 2",
        "select /* a; /* nested; */ still; */ 1",
        "select $1, a$b from t where x = '$$;'",
        "select U&'d\\0061t;a', N'x;', B'1', x'1F'",
        "select 'ends in a backslash\\'",
    ],
)
def test_a_semicolon_inside_of_something_ends_nothing(statement: str) -> None:
    assert texts(f"{statement}; select 'next'") == [statement, "select 'next'"]


def test_a_standard_body_is_one_statement_with_its_cases_and_strings() -> None:
    body = """create or replace function bilag.f(a int) returns text language sql
begin atomic
  select case when a > 1 then case a when 2 then 'end;' else 'b' end end;
  select 'second';
end"""
    assert texts(f"{body};\nselect begin.atomic from begin;") == [body, "select begin.atomic from begin"]


def test_a_standard_body_is_one_statement_in_capitals_too() -> None:
    body = "CREATE FUNCTION bilag.f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END"
    assert texts(f"{body}; select 1") == [body, "select 1"]


def test_a_statement_knows_its_line_and_the_lines_inside_it() -> None:
    _, second = split("-- why\nselect 1;\n\n-- also why\nselect\n  2,\n  nope;", "sql/a.sql")
    assert second.line == 5
    assert second.line_of(second.text.index("nope") + 1) == 7


def test_words_are_read_as_postgres_reads_them() -> None:
    (statement,) = split('Create POLICY "Own rows" on bilag.Claims -- x\n using (true)', "sql/a.sql")
    assert statement.words[:6] == ("create", "policy", '"Own rows"', "on", "bilag", ".")
    assert statement.tokens[2].name == "Own rows"


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("select 1;\nselect 'open", "sql/a.sql, line 2: the quote that opens here never ends."),
        ("select E'open\\'", "sql/a.sql, line 1: the quote that opens here never ends."),
        ('select "open', "sql/a.sql, line 1: the quote that opens here never ends."),
        ("do $x$ begin end $$;", "sql/a.sql, line 1: the quote $x$ that opens here never ends."),
        ("\n\n/* /* */ select 1;", "sql/a.sql, line 3: the comment that opens here never ends."),
    ],
)
def test_what_never_ends_is_named_with_its_line(sql: str, complaint: str) -> None:
    with pytest.raises(MigrationError) as raised:
        texts(sql)
    assert str(raised.value) == complaint


pieces = st.sampled_from(
    [
        "select",
        "a",
        "'x;y'",
        '"q;"',
        "$$;$$",
        "$t$ ; $$ $t$",
        "/* ; /* ; */ */",
        "-- ;\n",
        "E'\\';'",
        "1",
        "(",
        ")",
        "::",
        ",",
    ]
)


@given(st.lists(st.lists(pieces, min_size=1, max_size=6), max_size=5))
def test_joined_statements_come_apart_again(statements: list[list[str]]) -> None:
    meant = [" ".join(["x", *words, "y"]) for words in statements]
    assert texts(" ;\n".join(meant)) == meant
