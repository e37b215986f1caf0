"""The server of DATABASE_URL: not ours. We make databases of our own in it, and take away what we made."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import psycopg
from psycopg import conninfo, sql

from dev.postgres.server import RestartMode, Server

KEY_FILE = "/tmp/bilag-{}.key"  # noqa: S108 - a path on the server's machine, where nothing else can be assumed
AT_ONCE = 20
"""Databases dropped at once: where pg_cron is loaded, Postgres 15 may hold each drop for up to a minute."""


class Given(Server):
    """A server that somebody else runs. Its databases other than ours are never touched."""

    can_restart = False

    def __init__(self, url: str) -> None:
        self._url = url
        self._made: list[str] = []
        self._prefix = f"bilag_{secrets.token_hex(3)}_"
        self._key_file: str | None = None

    def dsn(self, database: str = "postgres", user: str | None = None) -> str:
        """A database that we made goes by the name we gave it; the server may hold one of the same name already."""
        name = self._prefix + database if database in self._made else database
        return conninfo.make_conninfo(self._url, dbname=name, **({} if user is None else {"user": user}))

    def start(self) -> NoReturn:
        raise RuntimeError("The server of DATABASE_URL is not ours to start or stop.")

    def stop(self, mode: RestartMode = "fast") -> NoReturn:
        self.start()

    def create_database(self, name: str, template: str | None = None) -> str:
        self._made.append(name)
        copied = None if template is None else self._prefix + template if template in self._made else template
        super().create_database(self._prefix + name, copied)
        if template is None:
            self._give_vault_key(self._prefix + name)
        else:  # settings of a database are not copied with it
            self._set_key_file(self._prefix + name)
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        super().drop_database(self._prefix + name)  # should it stay, it goes when we leave

    def leave(self) -> None:
        """Drop every database that we made, and the key file."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._drop, self._made))
        if self._key_file is not None:
            with self.connect() as connection:
                connection.execute(sql.SQL("copy (select) to program {}").format(f"rm -f {self._key_file}"))

    def _drop(self, name: str) -> None:
        database = sql.Identifier(self._prefix + name)
        with self.connect() as connection:
            connection.execute(sql.SQL("alter database {} is_template false").format(database))
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(database))

    def _give_vault_key(self, database: str) -> None:
        """The stand-in for Vault reads its root key from a file, which only a superuser can have the server write."""
        with self.connect() as connection:
            if connection.execute("select 1 from pg_available_extensions where name = 'supabase_vault'").fetchone():
                return
            if connection.execute("select nullif(current_setting('bilag.vault_key_file', true), '')").fetchone() != (
                None,
            ):
                return
            if self._key_file is None:
                path = KEY_FILE.format(self._prefix.strip("_"))
                copy = sql.SQL("copy (select {}) to {}").format(secrets.token_hex(32), path)
                try:
                    connection.execute(copy)
                except psycopg.errors.InsufficientPrivilege:
                    return
                self._key_file = path
        self._set_key_file(database)

    def _set_key_file(self, database: str) -> None:
        if self._key_file is None:
            return
        with self.connect() as connection:
            connection.execute(
                sql.SQL("alter database {} set bilag.vault_key_file = {}").format(
                    sql.Identifier(database), self._key_file
                )
            )
