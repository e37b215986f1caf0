"""The files for ``supabase db push`` end where ``bilag migrate`` does, and are recognised by it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from dev.postgres import Server
from tests.fix_migrate import Source
from tests.fix_supabase import numbers, rows
from worker.migrate import MigrationError, migrate, supabase
from worker.migrate.nouns import read_nouns
from worker.migrate.rooms import read_rooms
from worker.migrate.statements import split


def push(dsn: str, files: tuple[Path, ...]) -> None:
    """What ``supabase db push`` does: each file in its own transaction, one statement after the other.

    The extensions are left out: this server has them already, by another way.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        for file in files:
            with connection.transaction():
                for statement in split(file.read_text(encoding="utf-8"), file.name):
                    if statement.words[:2] != ("create", "extension"):
                        connection.execute(statement.text.encode())


def test_what_is_written_for_db_push_is_what_migrate_would_do(project: str, platform: Server, tmp_path: Path) -> None:
    objects = "select kind, identity, state from bilag_internal.verb_objects order by 1, 2"
    migrated = platform.create_database(f"project_{next(numbers)}")
    migrate(migrated)
    with psycopg.connect(project, autocommit=True) as connection:
        from pgmq.install import get_embedded_install_sql

        connection.execute(get_embedded_install_sql().encode())

    written = migrate("no database is asked", to=tmp_path).written
    push(project, written)

    assert migrate(project, check=True).drift == ()
    assert not migrate(project).changed
    assert rows(project, objects) == rows(migrated, objects)
    assert rows(project, "select to_regnamespace('bilag_migrate')") == [(None,)]
    assert migrate("no database is asked", to=tmp_path).written == ()


def test_only_what_is_new_is_written_and_after_what_is_there(source: Source, project: str, tmp_path: Path) -> None:
    folder = tmp_path / "supabase"
    folder.mkdir()
    (folder / "29990101000000_theirs.sql").write_text("select 1;")
    source.room("10_a.sql", "create function bilag.f() returns int language sql as $$ select 1 $$;")
    first = source.migrate("", to=folder).written
    assert [path.name for path in first] == [
        "29990101000001_bilag_extensions.sql",
        "29990101000002_bilag_0001_ground.sql",
        "29990101000003_bilag_0002_claims.sql",
        "29990101000004_bilag_verbs.sql",
    ]

    source.noun("0003_more.sql", "alter table bilag.claims add note text -- and no semicolon")
    source.room(
        "10_a.sql", "create function bilag.g(a int) returns text language sql as $bilag$ select '$$\\'||a $bilag$;"
    )
    second = source.migrate("", to=folder).written
    assert [path.name for path in second] == [
        "29990101000005_bilag_0003_more.sql",
        "29990101000006_bilag_verbs.sql",
    ]

    push(project, first)
    assert source.migrate(project, check=True).drift != ()
    push(project, second)
    assert rows(project, "select identity from bilag_internal.verb_objects") == [("bilag.g(integer)",)]
    assert rows(project, r"select bilag.g(1)") == [("$$\\1",)]


def test_with_a_new_noun_the_rooms_are_written_again(source: Source, tmp_path: Path) -> None:
    source.migrate("", to=tmp_path)
    source.noun("0003_more.sql", "create table bilag.more ();")
    written = source.migrate("", to=tmp_path).written
    assert [path.name.partition("_")[2] for path in written] == ["bilag_0003_more.sql", "bilag_verbs.sql"]
    assert source.migrate("", to=tmp_path).written == ()


def test_without_files_of_others_the_clock_names_them(source: Source, tmp_path: Path) -> None:
    rooms = read_rooms(source.sql, [])
    written = supabase.write(
        tmp_path, read_nouns(source.migrations), rooms, datetime(2026, 2, 28, 23, 59, 58, tzinfo=UTC)
    )
    assert [path.name.partition("_")[0] for path in written] == [
        "20260228235959", "20260301000000", "20260301000001", "20260301000002",
    ]  # fmt: skip


def test_a_noun_that_was_written_is_frozen(source: Source, tmp_path: Path) -> None:
    source.migrate("", to=tmp_path)
    source.noun("0002_claims.sql", "create table bilag.claims ();")
    source.noun("0003_more.sql", "select 1")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(
        MigrationError, match=r"0002_claims\.sql was edited after it was written to supabase/migrations"
    ):
        source.migrate("", to=tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_is_not_there_is_not_made(source: Source, tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match="There is no folder"):
        source.migrate("", to=tmp_path / "nowhere")
