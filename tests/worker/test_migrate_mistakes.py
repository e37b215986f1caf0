"""A mistake in a room, or something of the user's in the way, is one sentence, and the database stays as it was."""

from __future__ import annotations

import pytest

from tests.fix_migrate import Source
from tests.fix_postgres import Database
from worker.migrate import MigrationError

ROOM = """
create or replace function bilag.f(a int) returns int language sql immutable as 'select a';
create or replace view bilag.v as select id, bilag.f(id) as f from bilag.claims;
"""
UNDO = "for each row execute function suppress_redundant_updates_trigger()"
GONE = "create or replace function bilag.other() returns int language sql as 'select 1';"
CHANGED = """
create or replace function bilag.f(a int) returns bigint language sql immutable as 'select a::bigint';
create or replace view bilag.v as select bilag.f(id) as f, id from bilag.claims;
"""


def refused(source: Source, database: Database) -> str:
    with pytest.raises(MigrationError) as raised:
        source.migrate(database)
    return str(raised.value)


def complaint_about(source: Source, database: Database, room: str) -> str:
    source.room("10_a.sql", room)
    return refused(source, database)


@pytest.mark.parametrize("room", [GONE, CHANGED])
@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("create view public.mine as select f from bilag.v", "view public.mine"),
        ("create view public.mine as select 1 from (select bilag.f(1)) x", "view public.mine"),
        ("create materialized view public.mine as select * from bilag.v", "materialized view public.mine"),
        ("create function public.mine() returns setof bilag.v language sql as 'select 1, 2'", "function public.mine()"),
        ("create table public.mine (a int default bilag.f(1))", "default value for column a of table public.mine"),
        ("create table public.mine (a int, constraint c check (bilag.f(a) > 1))", "constraint c on table public.mine"),
        ("create table public.mine (a bilag.v)", "table public.mine"),
        ("create domain public.mine as bilag.v", "type public.mine"),
        ("create index mine on bilag.claims (bilag.f(id))", "index bilag.mine"),
        ("create policy mine on bilag.claims using (bilag.f(id) = 1)", "policy mine on table bilag.claims"),
        ("create view bilag.mine as select * from bilag.v", "view bilag.mine"),
        (
            "create view public.lower as select * from bilag.v; create view public.mine as select * from public.lower",
            "view public.lower",
        ),
    ],
)
def test_what_a_user_built_on_ours_stops_it_and_is_named(
    source: Source, claims_database: Database, room: str, made: str, named: str
) -> None:
    source.room("10_a.sql", ROOM)
    source.migrate(claims_database)
    claims_database.sql(made)

    said = complaint_about(source, claims_database, room)

    assert f"has to go, but {named} leans on it" in said
    assert "bilag.f(" in said or "bilag.v" in said
    assert claims_database.value("select pg_get_function_result('bilag.f(int)'::regprocedure)") == "integer"
    assert claims_database.value("select to_regproc('bilag.other')") is None


def test_what_a_user_put_beside_ours_is_left_alone(source: Source, claims_database: Database) -> None:
    source.room("10_a.sql", ROOM)
    source.migrate(claims_database)
    claims_database.sql("create view bilag.beside as select 1 as one")
    claims_database.sql("create function bilag.beside() returns int language sql as 'select 1'")
    claims_database.sql("create policy beside on bilag.claims using (true)")
    assert source.migrate(claims_database, check=True).drift == ()
    source.without_room("10_a.sql")
    assert source.migrate(claims_database).dropped == ("function bilag.f(integer)", "view bilag.v")
    assert claims_database.value("select one + bilag.beside() from bilag.beside") == 2


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("create view bilag.v as select 1 as id", "create or replace view bilag.v as select 1 as id"),
        ("create function bilag.g() returns int language sql as 'select 1'",
         "create function bilag.g() returns int language sql as 'select 2'"),
        ("create policy p on bilag.claims using (true)", "create policy p on bilag.claims using (false)"),
        (f"create trigger t before insert on bilag.claims {UNDO}",
         f"create trigger t before delete on bilag.claims {UNDO}"),
    ],
)  # fmt: skip
def test_a_name_that_a_user_took_is_not_taken_from_them(
    source: Source, claims_database: Database, theirs: str, ours: str
) -> None:
    source.migrate(claims_database)
    claims_database.sql(theirs)
    assert "is there already and was not made by bilag migrate" in complaint_about(source, claims_database, f"{ours};")


@pytest.mark.parametrize(
    ("room", "complaint"),
    [
        ("select 1;\ncreate table bilag.t ();", "line 2: `create table bilag …` does not belong into a room"),
        ("drop view bilag.v;", "line 1: `drop view bilag …` does not belong into a room"),
        ("alter table bilag.claims add x int;", "line 1: `alter table bilag …` does not belong into a room"),
        ("create function f() returns int language sql as '';", "line 1: function f() has to be named with its schema"),
        ("create view public.v as select 1;", "line 1: view public.v has to be named with its schema"),
        ("create policy p on claims;", "line 1: table claims has to be named with its schema"),
        ("create trigger t before insert;", "line 1: table  has to be named with its schema"),
        ("create", "line 1: `create …` does not belong into a room"),
        ("create function", "line 1: `create function …` does not belong into a room"),
    ],
)
def test_a_statement_that_does_not_belong_into_a_room_is_refused(
    source: Source, claims_database: Database, room: str, complaint: str
) -> None:
    assert complaint_about(source, claims_database, room).startswith(f"sql/10_a.sql, {complaint}")


@pytest.mark.parametrize(
    ("room", "complaint"),
    [
        ("-- why\nselect 1;\nselect\n  nope;", 'line 4: column "nope" does not exist.'),
        ("\ncreate or replace view bilag.w as\n  select id,\n    nope from bilag.claims;",
         'line 4: column "nope" does not exist.'),
        ("create function bilag.f() returns int language sql as $$\n  select 1,\n  $$;",
         "line 3: syntax error at end of input."),
        ("\ncreate function bilag.f() returns int language sql as $$\n  select nope()\n $$;",
         "line 3: function nope() does not exist."),
        ("create function bilag.f() returns int language plpgsql as $$\nbegin\n  if then;\nend $$;",
         'line 3: missing expression at or near "then".'),
        ("create function bilag.f() returns int language sql as $$ select 'x' $$;",
         "line 1: return type mismatch in function declared to return integer."),
        ("\ncreate policy p on bilag.claims using (nope);", 'line 2: column "nope" does not exist.'),
        ("\ncreate policy p on bilag.nope using (true);", 'line 2: relation "bilag.nope" does not exist.'),
        ("create trigger t before insert on bilag.claims\n for each row execute function bilag.nope();",
         "line 1: function bilag.nope() does not exist."),
        ("create function bilag.f() returns int language nope as '';", 'line 1: language "nope" does not exist.'),
    ],
)  # fmt: skip
def test_an_error_in_a_room_names_its_line(
    source: Source, claims_database: Database, room: str, complaint: str
) -> None:
    assert complaint_about(source, claims_database, room) == f"sql/10_a.sql, {complaint}"
    assert claims_database.value("select count(*) from bilag_internal.verb_objects") == 0


def test_a_room_that_still_needs_what_another_lost_is_a_mistake(source: Source, claims_database: Database) -> None:
    source.room(
        "10_a.sql", "create function bilag.checked() returns trigger language plpgsql as 'begin return new; end';"
    )
    source.room(
        "20_b.sql", "create trigger t before insert on bilag.claims for each row execute function bilag.checked();"
    )
    source.migrate(claims_database)
    source.without_room("10_a.sql")
    assert refused(source, claims_database) == (
        "function bilag.checked() has to go, but trigger t on table bilag.claims leans on it."
    )
