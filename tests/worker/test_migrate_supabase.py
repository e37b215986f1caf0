"""On Supabase the one who migrates owns the database and is no superuser, and much is there already."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from tests.fix_supabase import rows
from worker.migrate import migrate


def test_the_owner_of_a_database_migrates_without_being_a_superuser(project: str) -> None:
    first = migrate(project)
    assert first.verbs_applied
    assert "pgcrypto (extension)" not in first.prepared
    assert not migrate(project).changed
    assert migrate(project, check=True).drift == ()
    schemas = (
        "select nspname::text, nspowner::regrole::text from pg_namespace where nspname in ('bilag', 'vault') order by 1"
    )
    assert rows(project, schemas) == [("bilag", "app_owner"), ("vault", "platform_admin")]


def test_what_the_platform_has_is_left_as_it_is(project: str) -> None:
    migrate(project)
    assert rows(project, "select auth.role()") == [("theirs",)]
    assert rows(project, "select count(*) from pg_proc where pronamespace = 'auth'::regnamespace") == [(3,)]


def test_the_worker_s_role_can_be_taken_by_who_migrated(project: str) -> None:
    migrate(project)
    with psycopg.connect(project, autocommit=True) as connection, connection.transaction():
        connection.execute("set local role bilag_worker")
        with pytest.raises(errors.InsufficientPrivilege, match="bilag"):
            connection.execute("select * from bilag.export_runs")


def test_queues_can_be_used_by_who_migrated(project: str) -> None:
    migrate(project)
    rows(project, "select pgmq.send('bilag_exports', '{}')")
    assert rows(project, "select pgmq.purge_queue('bilag_exports')") == [(1,)]


def test_the_platform_s_vault_can_be_used_by_who_migrated(project: str) -> None:
    migrate(project)
    rows(project, "select vault.create_secret('hush', 'a name')")
    assert rows(project, "select decrypted_secret from vault.decrypted_secrets") == [("hush",)]
