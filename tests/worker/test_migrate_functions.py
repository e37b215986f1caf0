"""Functions change their signatures, an application's hooks stay its own, and adapters are announced through one."""

from __future__ import annotations

from tests.fix_migrate import Source
from tests.fix_postgres import Database

MADE = "select kind || ' ' || identity from bilag_internal.verb_objects order by 1"


def test_a_function_may_rename_its_parameters_or_become_a_procedure(source: Source, claims_database: Database) -> None:
    for made in (
        "function bilag.f(a int) returns int language sql as 'select a'",
        "function bilag.f(b int) returns int language sql as 'select b'",
        "procedure bilag.f(b int) language sql as 'select b'",
    ):
        source.room("10.sql", f"create or replace {made};")
        source.migrate(claims_database)
    assert [row[0] for row in claims_database.sql(MADE)] == ["procedure bilag.f(integer)"]


def test_a_function_with_other_arguments_takes_the_place_of_the_old_one(
    source: Source, claims_database: Database
) -> None:
    room = """
        create function bilag.f(a int{}) returns int language sql as 'select a';
        create view bilag.v as select bilag.f(1) as one;
    """
    source.room("10.sql", room.format(""))
    source.migrate(claims_database)
    source.room("10.sql", room.format(", b int default 2"))
    source.migrate(claims_database)
    assert claims_database.value("select array_agg(oid::regprocedure::text) from pg_proc where proname = 'f'") == [
        "bilag.f(integer,integer)"
    ]
    assert claims_database.value("select one from bilag.v") == 1


def test_two_functions_of_one_name_live_side_by_side(source: Source, claims_database: Database) -> None:
    one = "create or replace function bilag.f(a int) returns int language sql as 'select a';"
    other = "create or replace function bilag.f(a text) returns text language sql as 'select a';"
    source.room("10.sql", one + other)
    source.migrate(claims_database)
    source.room("10.sql", other + one + "comment on function bilag.f(int) is 'One.';")
    assert source.migrate(claims_database).dropped == ()
    assert claims_database.value("select count(*) from pg_proc where proname = 'f'") == 2
    source.room("10.sql", other)
    assert source.migrate(claims_database).dropped == ("function bilag.f(integer)",)


def test_an_application_s_hook_is_never_overwritten(source: Source, claims_database: Database) -> None:
    hook = "create or replace function bilag_hooks.who() returns text language sql as $$ select '{}' $$;"
    source.room("10.sql", hook.format("ours"))
    source.migrate(claims_database)
    claims_database.sql(
        "create or replace function bilag_hooks.who() returns text language sql as $$ select 'theirs' $$"
    )
    source.room("10.sql", hook.format("ours again"))
    assert source.migrate(claims_database).verbs_applied
    assert claims_database.value("select bilag_hooks.who()") == "theirs"
    source.without_room("10.sql")
    source.migrate(claims_database)
    assert claims_database.value("select bilag_hooks.who()") == "theirs"


def test_adapters_are_announced_when_they_or_the_rooms_changed(source: Source, claims_database: Database) -> None:
    source.noun("0003_log.sql", "create table bilag_internal.log (id int generated always as identity, said jsonb);")
    source.room(
        "10.sql",
        """
        create or replace function bilag_internal.announce_type(said jsonb) returns void language sql
        as 'insert into bilag_internal.log (said) values (said)';
        create or replace function bilag_internal.after_migrate() returns void language sql
        as $$ insert into bilag_internal.log (said) values ('"after"') $$;
    """,
    )
    first, second = [{"integrationType": "a'b\\"}], [{"integrationType": "a'b\\", "finds": True}]
    assert source.migrate(claims_database, announcements=first).verbs_applied
    assert not source.migrate(claims_database, announcements=first).verbs_applied
    assert source.migrate(claims_database, check=True, announcements=second).drift
    assert source.migrate(claims_database, announcements=second).verbs_applied
    assert [row[0] for row in claims_database.sql("select said from bilag_internal.log order by id")] == [
        first[0], "after", second[0], "after",
    ]  # fmt: skip
