"""``bilag doctor`` on the one function that all policies rest on, as an application may have replaced it."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.fix_shell import Shell

HEAD = "create or replace function bilag_hooks.memberships() returns table (org_id uuid, role text) language sql"


def said(shell: Shell) -> tuple[bool, str]:
    ((well, words),) = [(c["well"], c["said"]) for c in shell("doctor", "--json").json if c["name"] == "members"]
    return well, words


def replaced(bilag: Bilag, rest: str) -> None:
    bilag.connection.execute(f"{HEAD} {rest}".encode())


def test_the_default_says_where_a_person_belongs_and_what_that_costs(
    bilag_shell: Shell, bilag: Bilag, org: Organisation
) -> None:
    well, words = said(bilag_shell)
    assert well
    assert words.startswith("a person belongs to 0 of the organisations")
    org.member()
    well, words = said(bilag_shell)
    assert (well, words.startswith("a person belongs to 1 of the organisations")) == (True, True), words


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("stable as 'select id, $r$member$r$ from bilag.organizations'", "to a caller without a JWT"),
        (
            "stable as 'select id, $r$member$r$ from bilag.organizations where auth.uid() is not null'",
            "to a person whom nobody knows",
        ),
        ("volatile as 'select org_id, role from bilag.organization_members where user_id = auth.uid()'", "is volatile"),
        (
            "stable security definer as 'select org_id, role from bilag.organization_members'",
            "without a search_path",
        ),
        (
            "stable as 'select org_id, $r$Boss$r$ from bilag.organization_members where user_id = auth.uid()'",
            "roles that mean nothing here: Boss",
        ),
        ("stable as 'select org_id, role from bilag.organization_members where 1 / 0 = 1'", "division by zero"),
    ],
)
def test_a_replacement_that_lets_the_wrong_ones_in_or_fails_is_told(
    bilag_shell: Shell, bilag: Bilag, org: Organisation, body: str, sentence: str
) -> None:
    org.member()
    replaced(bilag, body)
    well, words = said(bilag_shell)
    assert not well
    assert sentence in words


def test_a_replacement_that_names_a_table_without_its_schema_fails_as_it_would_in_a_policy(
    bilag_shell: Shell, bilag: Bilag, org: Organisation
) -> None:
    bilag.connection.execute("create table public.staff (org_id uuid, user_id uuid)")
    replaced(bilag, "stable as 'select org_id, $r$member$r$ from staff where user_id = auth.uid()'")
    well, words = said(bilag_shell)
    assert (well, 'relation "staff" does not exist' in words) == (False, True), words


def test_a_replacement_that_reads_its_whole_table_is_told_by_its_pages(
    bilag_shell: Shell, bilag: Bilag, org: Organisation
) -> None:
    person = org.member()
    bilag.connection.execute("create table public.staff (org_id uuid, user_id uuid, about text)")
    bilag.connection.execute(
        "insert into public.staff select gen_random_uuid(), gen_random_uuid(), repeat('x', 900)"
        " from generate_series(1, 9000)"
    )
    bilag.connection.execute("insert into public.staff values (%s, %s, '')", [org.id, person])
    replaced(bilag, "stable as 'select org_id, $r$member$r$ from public.staff where user_id = auth.uid()'")
    well, words = said(bilag_shell)
    assert (well, "pages for one person" in words) == (False, True), words
    bilag.connection.execute("create index on public.staff (user_id)")
    assert said(bilag_shell)[0]


def test_another_result_and_none_at_all_are_told(bilag_shell: Shell, bilag: Bilag) -> None:
    bilag.connection.execute("drop function bilag_hooks.memberships()")
    well, words = said(bilag_shell)
    assert (well, "There is no function" in words) == (False, True), words
    bilag.connection.execute(
        "create function bilag_hooks.memberships() returns setof uuid language sql stable as 'select null::uuid'"
    )
    assert "returns SETOF uuid" in said(bilag_shell)[1]


def test_migrate_never_overwrites_what_the_application_put_there(
    bilag_shell: Shell, bilag: Bilag, org: Organisation
) -> None:
    replaced(bilag, f"stable as 'select $o${org.id}$o$::uuid, $r$member$r$ where auth.uid() = $o${uuid4()}$o$'")
    source = "select prosrc from pg_proc where oid = 'bilag_hooks.memberships()'::regprocedure"
    before = bilag.connection.execute(source.encode()).fetchone()
    bilag.connection.execute("delete from bilag_internal.verbs")
    assert bilag_shell("migrate").code == 0
    assert bilag.connection.execute(source.encode()).fetchone() == before
