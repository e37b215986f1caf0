"""Migrations and rooms of a test's own making, on the real ground, in a database with nothing in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from worker.migrate import Patience, Report, migrate
from worker.places import MIGRATIONS

if TYPE_CHECKING:
    from dev.postgres import Server
    from tests.fix_postgres import Database

HASTY = Patience(lock=0.2, total=5, pause=0.05)


class Source:
    """A version of the project's SQL: ``migrations/`` and ``sql/`` in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.migrations = folder / "migrations"
        self.sql = folder / "sql"
        for made in (self.migrations, self.sql):
            made.mkdir()
        shutil.copy(MIGRATIONS / "0001_ground.sql", self.migrations)
        self.noun("0002_claims.sql", "create table bilag.claims (id int primary key, owner uuid, amount numeric);")

    def noun(self, name: str, text: str) -> Path:
        """Writes a migration."""
        path = self.migrations / name
        path.write_text(text, encoding="utf-8")
        return path

    def room(self, name: str, text: str) -> None:
        """Writes a room, over what it was."""
        (self.sql / name).write_text(text, encoding="utf-8")

    def without_room(self, name: str) -> None:
        (self.sql / name).unlink()

    def migrate(
        self,
        database: Database | str,
        *,
        check: bool = False,
        to: Path | None = None,
        announcements: Sequence[dict[str, Any]] = (),
        patience: Patience = HASTY,
    ) -> Report:
        dsn = database if isinstance(database, str) else database.dsn
        return migrate(
            dsn,
            check=check,
            to=to,
            migrations=self.migrations,
            sql=self.sql,
            announcements=announcements,
            patience=patience,
        )


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """One table, ``bilag.claims``, and no rooms yet."""
    return Source(tmp_path)


@pytest.fixture(scope="session")
def claims_template(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a database that has the nouns of ``source``, and no rooms; made once, for it takes a while."""
    Source(tmp_path_factory.mktemp("claims")).migrate(server.create_database("claims_template"))
    return "claims_template"


@pytest.fixture
def claims_database(server: Server, claims_template: str) -> Iterator[Database]:
    """This test's own database with the nouns of ``source``."""
    from tests.fix_postgres import copied

    with copied(server, claims_template) as made:
        yield made
