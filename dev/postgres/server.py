"""What every throw-away server can do, whoever runs it."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from psycopg import Connection

RestartMode = Literal["fast", "immediate"]
"""``fast`` ends sessions and shuts down in order; ``immediate`` is a crash: recovery runs at the next start."""


class Server(ABC):
    """A running Postgres in which databases may be made at will. Its default user is a superuser."""

    can_restart: bool = True
    """False for a server that is not ours to stop."""

    cron_database: str | None = None
    """The one database in which pg_cron runs; None where the server has no pg_cron."""

    copies_files: bool = False
    """True where flushing files is free (``fsync`` off), so that copying them is the fastest way to copy a database."""

    @abstractmethod
    def dsn(self, database: str = "postgres", user: str | None = None) -> str:
        """A libpq connection string."""

    @abstractmethod
    def stop(self, mode: RestartMode = "fast") -> None: ...

    @abstractmethod
    def start(self) -> None:
        """Start it again, where it was, with all that it held. Returns when it accepts connections."""

    def restart(self, mode: RestartMode = "fast") -> None:
        self.stop(mode)
        self.start()

    def connect(self, database: str = "postgres") -> Connection:
        """A connection in autocommit mode, as ``create database`` needs it."""
        import psycopg

        return psycopg.connect(self.dsn(database), autocommit=True)

    def create_database(self, name: str, template: str | None = None) -> str:
        """Make a database, a copy of ``template`` if one is named, and return its DSN."""
        from psycopg import sql

        statement = sql.SQL("create database {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" template {}").format(sql.Identifier(template))
            statement += sql.SQL(" strategy file_copy" if self.copies_files else "")
        with self.connect() as connection:
            connection.execute(statement)
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        """Drop it, whoever is in it. With pg_cron loaded, Postgres 15 may take a minute over that: then it stays."""
        import psycopg
        from psycopg import sql

        with self.connect() as connection, contextlib.suppress(psycopg.errors.QueryCanceled):
            connection.execute("set statement_timeout = '3s'")
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
