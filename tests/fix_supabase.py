"""Supabase's terms on a throw-away server: a ``postgres`` that is no superuser, and a Vault of somebody else's."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from psycopg import errors, sql

from dev.postgres import Server, throw_away
from worker.migrate.statements import split
from worker.places import MIGRATIONS

ROLES = """
    create role app_owner login nosuperuser createdb createrole bypassrls;
    create role platform_admin superuser;
    create role anon nologin noinherit;
    create role authenticated nologin noinherit;
    create role service_role nologin noinherit bypassrls;
    grant anon, authenticated, service_role to app_owner;
    grant pg_monitor to app_owner;
    create role authenticator login noinherit;
    grant anon, authenticated, service_role to authenticator;
"""
"""What Supabase calls ``postgres`` is ``app_owner`` here, ``supabase_admin`` is ``platform_admin``."""

PLATFORM = """
    set role platform_admin;
    create schema extensions;
    create extension pgcrypto with schema extensions;
    create schema auth;
    create function auth.uid() returns uuid language sql stable as $$
      select (current_setting('request.jwt.claims', true)::jsonb ->> 'sub')::uuid $$;
    create function auth.role() returns text language sql stable as $$ select 'theirs'::text $$;
    create function auth.jwt() returns jsonb language sql stable as $$ select null::jsonb $$;
    grant usage on schema auth to app_owner, anon, authenticated, service_role;
    {vault};
    grant usage on schema vault to app_owner;
    grant select, delete on vault.secrets, vault.decrypted_secrets to app_owner;
    grant execute on function vault.create_secret, vault.update_secret, vault.open_secret to app_owner;
    reset role;
"""

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def platform() -> Iterator[Server]:
    """A server of ours, with the roles of Supabase's and no superuser among those that migrate."""
    with throw_away(ours=True) as server:
        with server.connect() as connection:
            for statement in split(ROLES, "roles"):
                with suppress(errors.DuplicateObject):  # Supabase's own image has three of them
                    connection.execute(statement.text.encode())
        yield server


@pytest.fixture
def project(platform: Server) -> str:
    """The address of a database as ``app_owner``, whose Vault belongs to ``platform_admin``."""
    name = f"project_{next(numbers)}"
    platform.create_database(name)
    with platform.connect() as connection:
        connection.execute(sql.SQL("alter database {} owner to app_owner").format(sql.Identifier(name)))
    with platform.connect(name) as connection:
        vault = (MIGRATIONS / "0002_vault.sql").read_text(encoding="utf-8")
        connection.execute(PLATFORM.replace("{vault}", vault).encode())
    return platform.dsn(name, "app_owner")


def rows(dsn: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()
