"""Once its rooms are applied a database is what a fresh installation would be; what did not change was not touched."""

from __future__ import annotations

import pytest

from tests.fix_migrate import Source
from tests.fix_postgres import Database
from worker.migrate import MigrationError

ROOM = """
create or replace function bilag_internal.mine() returns setof uuid language sql stable
as $$ select bilag_internal.me() $$;

create or replace function bilag_internal.me() returns uuid language sql stable as $$ select auth.uid() $$;

create or replace function bilag_internal.guard() returns trigger language plpgsql as $$ begin return new; end $$;

create policy own_rows on bilag.claims for select to authenticated
using (owner = any (array(select bilag_internal.mine())));

create trigger guard_claims before update of amount, owner on bilag.claims
for each row execute function bilag_internal.guard();

create or replace view bilag.sums with (security_invoker = true) as
  select owner, sum(amount) as total from bilag.claims where owner = bilag_internal.me() group by owner;
comment on view bilag.sums is 'Sums.';
"""

TOUCHED = """
    select 'policy', oid, xmin::text from pg_policy where polrelid = 'bilag.claims'::regclass
    union all select 'trigger', oid, xmin::text from pg_trigger where tgrelid = 'bilag.claims'::regclass
    union all select 'view', ev_class, xmin::text from pg_rewrite where ev_class = 'bilag.sums'::regclass
    order by 1
"""
MADE = "select kind || ' ' || identity from bilag_internal.verb_objects order by 1"


@pytest.fixture
def migrated(source: Source, claims_database: Database) -> Database:
    source.room("10_claims.sql", ROOM)
    source.migrate(claims_database)
    return claims_database


def refused(source: Source, database: Database) -> str:
    with pytest.raises(MigrationError) as raised:
        source.migrate(database)
    return str(raised.value)


def rewrite(source: Source, old: str, new: str, room: str = ROOM) -> None:
    assert old in room
    source.room("10_claims.sql", room.replace(old, new))


def test_a_room_makes_functions_views_policies_and_triggers(migrated: Database) -> None:
    assert [row[0] for row in migrated.sql(MADE)] == [
        "function bilag_internal.guard()",
        "function bilag_internal.me()",
        "function bilag_internal.mine()",
        "policy own_rows on bilag.claims",
        "trigger guard_claims on bilag.claims",
        "view bilag.sums",
    ]
    assert migrated.value("select to_regnamespace('bilag_migrate')") is None


def test_twice_changes_nothing(source: Source, migrated: Database) -> None:
    assert not source.migrate(migrated).changed
    assert source.migrate(migrated, check=True).drift == ()
    assert migrated.value("select count(*) from bilag_internal.verbs") == 2  # without rooms, and with them


def test_what_did_not_change_is_not_touched(source: Source, migrated: Database) -> None:
    before = migrated.sql(TOUCHED)
    source.room("20_more.sql", "create or replace function bilag.more() returns int language sql as 'select 1';")
    assert source.migrate(migrated).verbs_applied
    assert len(before) == 3
    assert migrated.sql(TOUCHED) == before


def test_a_policy_that_changed_is_replaced(source: Source, migrated: Database) -> None:
    rewrite(source, "to authenticated", "to authenticated, service_role")
    source.migrate(migrated)
    assert migrated.sql("select roles::text from pg_policies") == [("{authenticated,service_role}",)]


def test_a_trigger_that_changed_is_replaced(source: Source, migrated: Database) -> None:
    rewrite(source, "before update of amount, owner on", "before insert on")
    source.migrate(migrated)
    assert "BEFORE INSERT ON" in migrated.value("select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal")


def test_a_constraint_trigger_that_changed_is_replaced(source: Source, migrated: Database) -> None:
    constraint = (
        "create constraint trigger late after {} on bilag.claims for each row execute function bilag_internal.guard();"
    )
    for event in ("insert", "update"):
        source.room("20_late.sql", constraint.format(event))
        source.migrate(migrated)
        assert migrated.value(
            "select pg_get_triggerdef(oid) ilike 'create constraint trigger late after ' || %s || ' on%%' "
            "from pg_trigger where tgname = 'late'",
            event,
        )


def test_a_view_that_changed_is_replaced_whatever_its_columns(source: Source, migrated: Database) -> None:
    rewrite(source, "select owner, sum(amount) as total", "select count(*) as claims, owner")
    source.migrate(migrated)
    assert migrated.value(
        "select string_agg(attname, ' ') from pg_attribute where attrelid = 'bilag.sums'::regclass"
    ) == ("claims owner")
    assert migrated.value("select obj_description('bilag.sums'::regclass)") == "Sums."


def test_a_view_whose_options_alone_changed_is_replaced(source: Source, migrated: Database) -> None:
    rewrite(source, "with (security_invoker = true) ", "")
    source.migrate(migrated)
    assert migrated.value("select reloptions from pg_class where oid = 'bilag.sums'::regclass") is None


def test_a_view_of_all_columns_follows_the_view_below_it(source: Source, migrated: Database) -> None:
    source.room("20_all.sql", "create view bilag.everything as select s.* from bilag.sums s;")
    source.migrate(migrated)
    rewrite(source, "sum(amount) as total", "sum(amount) as total, count(*) as claims")
    source.migrate(migrated)
    assert migrated.sql("select owner, total, claims from bilag.everything") == []


def test_a_function_may_change_its_return_type_under_what_leans_on_it(source: Source, migrated: Database) -> None:
    rewrite(source, "bilag_internal.me() returns uuid", "bilag_internal.me() returns setof uuid")
    assert "set-returning functions are not allowed in WHERE" in refused(source, migrated)
    changed = ROOM.replace("bilag_internal.me() returns uuid", "bilag_internal.me() returns text")
    changed = changed.replace("select auth.uid()", "select auth.uid()::text").replace("setof uuid", "setof text")
    rewrite(source, "owner =", "owner::text =", changed)
    assert source.migrate(migrated).dropped == ()
    assert migrated.value("select pg_get_function_result('bilag_internal.me()'::regprocedure)") == "text"
    assert len(migrated.sql(TOUCHED)) == 3


def test_what_others_may_do_outlives_what_is_made_anew(source: Source, migrated: Database) -> None:
    """Not only what cannot be replaced: the view falls with the function and is made again, too."""
    migrated.sql("grant execute on function bilag_internal.me() to pg_monitor")
    migrated.sql("grant select on bilag.sums to pg_monitor with grant option")
    migrated.sql("grant select on bilag.sums to pg_read_all_stats")
    changed = ROOM.replace("bilag_internal.me() returns uuid", "bilag_internal.me(again boolean) returns text")
    changed = changed.replace("select auth.uid()", "select auth.uid()::text").replace("setof uuid", "setof text")
    changed = changed.replace("bilag_internal.me() $$", "bilag_internal.me(true) $$").replace(
        "me() group", "me(true) group"
    )
    rewrite(source, "owner =", "owner::text =", changed)
    source.migrate(migrated)
    assert migrated.value("select has_function_privilege('pg_monitor', 'bilag_internal.me(boolean)', 'execute')")
    assert migrated.value("select has_table_privilege('pg_monitor', 'bilag.sums', 'select with grant option')")
    assert migrated.value("select has_table_privilege('pg_read_all_stats', 'bilag.sums', 'select')")
    assert source.migrate(migrated, check=True).drift == ()


def test_a_second_function_of_a_name_is_nobodys_by_the_first_ones_privileges(
    source: Source, migrated: Database
) -> None:
    migrated.sql("grant execute on function bilag_internal.me() to pg_monitor")
    more = "create function bilag_internal.me(a int) returns int language sql as 'select 1';"
    source.room("20_more.sql", more)
    source.migrate(migrated)
    assert not migrated.value("select has_function_privilege('pg_monitor', 'bilag_internal.me(int)', 'execute')")


def test_what_no_room_defines_any_more_goes(source: Source, migrated: Database) -> None:
    source.room("10_claims.sql", ROOM[: ROOM.index("create policy")])
    assert source.migrate(migrated).dropped == (
        "policy own_rows on bilag.claims", "trigger guard_claims on bilag.claims", "view bilag.sums",
    )  # fmt: skip
    source.without_room("10_claims.sql")
    assert len(source.migrate(migrated).dropped) == 3
    assert migrated.sql(MADE) == []


def test_a_noun_may_drop_what_leans_on_what_it_changes_for_the_rooms_make_it_again(
    source: Source, migrated: Database
) -> None:
    change = "alter table bilag.claims alter amount type numeric(12, 2)"
    source.noun("0003_exact.sql", f"drop view bilag.sums; drop trigger guard_claims on bilag.claims; {change};")
    report = source.migrate(migrated)
    assert report.verbs_applied
    assert report.dropped == ()
    assert migrated.sql("select total from bilag.sums") == []


def test_a_new_noun_applies_the_rooms_again(source: Source, claims_database: Database) -> None:
    source.room("99_grants.sql", "grant select on all tables in schema bilag to service_role;")
    source.migrate(claims_database)
    source.noun("0003_more.sql", "create table bilag.more ();")
    assert source.migrate(claims_database).verbs_applied
    assert claims_database.value("select has_table_privilege('service_role', 'bilag.more', 'select')")


def test_nobody_may_execute_a_new_function_by_default(source: Source, migrated: Database) -> None:
    assert migrated.sql(
        "select has_function_privilege('public', oid, 'execute') from pg_proc where proname = 'me'"
    ) == [(False,)]
    source.room("99_grants.sql", "grant execute on function bilag_internal.me() to authenticated;")
    source.migrate(migrated)
    assert migrated.value("select has_function_privilege('authenticated', 'bilag_internal.me()', 'execute')")
