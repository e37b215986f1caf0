"""What every throw-away server can do, whoever runs it."""

from __future__ import annotations

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
        with self.connect() as connection:
            connection.execute(statement)
        return self.dsn(name)
