"""The stand-in for Vault alone, in a server whose root key and files are the test's to play with."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import psycopg
import pytest

from dev.postgres import Server, throw_away
from worker.places import MIGRATIONS

KEY = "0123456789abcdef" * 4
KB021 = "KB021"
"""Vault cannot be read."""

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def vault_server() -> Iterator[Server]:
    """A server of its own: its files are searched, and its root key is taken away."""
    with throw_away(ours=True, cron_database=None) as running:
        yield running


@pytest.fixture
def vault(vault_server: Server) -> Iterator[psycopg.Connection]:
    """The owner, in a database with the stand-in, whatever the server itself has, and a root key of its own."""
    dsn = vault_server.create_database(f"vault_{next(numbers)}")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("drop extension if exists supabase_vault cascade")
        connection.execute("create extension if not exists pgcrypto")
        connection.execute((MIGRATIONS / "0002_vault.sql").read_text(encoding="utf-8").encode())
        use_key(connection, "right.key", KEY)
        yield connection


def use_key(connection: psycopg.Connection, name: str, key: str | None = None) -> str:
    """Names the key file from now on; the server writes it first, beside its data directory, so that it may read it."""
    folder = connection.execute("select regexp_replace(current_setting('data_directory'), '/[^/]*$', '')").fetchone()
    path = f"{folder[0] if folder else ''}/{name}" if name else ""
    if key is not None:
        connection.execute(psycopg.sql.SQL("copy (select {}) to {}").format(key, path))
    connection.execute("select set_config('bilag.vault_key_file', %s, false)", (path,))
    return path


def keep(connection: psycopg.Connection, secret: str, name: str = "integration_1_api_key") -> object:
    row = connection.execute("select vault.create_secret(%s, %s, 'A token.')", (secret, name)).fetchone()
    assert row is not None
    return row[0]


def read(connection: psycopg.Connection, name: str = "integration_1_api_key") -> object:
    row = connection.execute("select decrypted_secret from vault.decrypted_secrets where name = %s", (name,)).fetchone()
    return row and row[0]
