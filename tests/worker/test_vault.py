"""The stand-in for Supabase's Vault keeps secrets under a root key that no dump, log, heap or WAL ever holds."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator
from urllib.parse import quote

import psycopg
import pytest
from psycopg import errors

from dev.postgres import Cluster, Server, throw_away
from worker.places import MIGRATIONS

KEY = "0123456789abcdef" * 4
KB021 = "KB021"
"""Vault cannot be read."""

numbers = itertools.count(1)

FILES_WITH = """
    with recursive here (path, size, is_dir) as (
      select '.'::text, 0::bigint, true
      union all
      select f.path, i.size, i.isdir
      from here h
      cross join lateral (select h.path || '/' || n from pg_ls_dir(h.path, true, false) l (n)
                          where h.path <> './base' or n = %s) f (path)
      cross join lateral pg_stat_file(f.path, true) i
      where h.is_dir
    )
    select h.path from here h, unnest(%s::bytea[]) needle
    where not h.is_dir and position(needle in pg_read_binary_file(h.path, 0, h.size, true)) > 0
"""
"""Everything in the data directory but the databases that are not asked for."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of this module's own: its files are searched, and its key is taken away."""
    with throw_away(ours=True, cron_database=None) as running:
        yield running


@pytest.fixture
def connection(server: Server) -> Iterator[psycopg.Connection]:
    """The owner, in a database with the stand-in, whatever the server itself has, and a root key of its own."""
    dsn = server.create_database(f"vault_{next(numbers)}")
    with psycopg.connect(dsn, autocommit=True) as opened:
        opened.execute("drop extension if exists supabase_vault cascade")
        opened.execute("create extension if not exists pgcrypto")
        opened.execute((MIGRATIONS / "0002_vault.sql").read_text(encoding="utf-8").encode())
        use_key(opened, "right.key", KEY)
        yield opened


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


def opened(connection: psycopg.Connection, name: str = "integration_1_api_key") -> object:
    row = connection.execute("select decrypted_secret from vault.decrypted_secrets where name = %s", (name,)).fetchone()
    return row and row[0]


def test_a_secret_comes_back_as_it_went_in(connection: psycopg.Connection) -> None:
    for number, secret in enumerate(["hush", "", "æøå €", "line\nbreak 'quote' \\", "x" * 100_000]):
        keep(connection, secret, f"name {number}")
        assert opened(connection, f"name {number}") == secret


def test_the_view_has_the_columns_of_supabase_s(connection: psycopg.Connection) -> None:
    identity = keep(connection, "hush")
    cursor = connection.execute("select * from vault.decrypted_secrets")
    assert [column.name for column in cursor.description or ()] == [
        "id", "name", "description", "secret", "decrypted_secret", "created_at", "updated_at",
    ]  # fmt: skip
    row = cursor.fetchone()
    assert row is not None
    assert row[:3] == (identity, "integration_1_api_key", "A token.")
    assert "hush" not in row[3]


def test_an_update_changes_what_it_is_given(connection: psycopg.Connection) -> None:
    identity = keep(connection, "old")
    connection.execute("select vault.update_secret(%s, %s)", (identity, "new"))
    assert opened(connection) == "new"
    connection.execute(
        "select vault.update_secret(%s, new_name => 'other', new_description => 'Renamed.')", (identity,)
    )
    assert opened(connection, "other") == "new"
    assert connection.execute("select description, updated_at > created_at from vault.secrets").fetchone() == (
        "Renamed.",
        True,
    )


def test_two_secrets_of_one_name_are_refused(connection: psycopg.Connection) -> None:
    keep(connection, "one")
    with pytest.raises(errors.UniqueViolation):
        keep(connection, "two")


def test_equal_secrets_look_different(connection: psycopg.Connection) -> None:
    keep(connection, "same", "a")
    keep(connection, "same", "b")
    assert connection.execute("select count(distinct secret) from vault.secrets").fetchone() == (2,)


def test_every_secret_is_aes_256_with_its_integrity_checked(connection: psycopg.Connection) -> None:
    identity = keep(connection, "hush")
    row = connection.execute("select decode(secret, 'base64') from vault.secrets").fetchone()
    assert row is not None
    # RFC 4880: tag 3 (session key), version 4, symmetric algorithm 9 (AES-256); then tag 18 (integrity protected).
    assert row[0][0:1] + row[0][2:4] == b"\xc3\x04\x09"
    assert row[0][2 + row[0][1]] == 0xD2

    connection.execute("alter table vault.secrets disable trigger all")
    for position in range(20, len(row[0]), 7):
        broken = bytearray(row[0])
        broken[position] ^= 1
        connection.execute("update vault.secrets set secret = encode(%s, 'base64')", (bytes(broken),))
        with pytest.raises(psycopg.Error) as raised:
            opened(connection)
        assert raised.value.sqlstate == KB021
        assert str(identity) in str(raised.value)


@pytest.mark.parametrize(
    ("name", "key", "sentence"),
    [
        ("", None, "The Vault root key is not configured: the setting bilag.vault_key_file is empty."),
        ("no-such.key", None, "The Vault root key cannot be read: there is no file {path}."),
        ("short.key", "short", "The Vault root key in {path} is too short: it has 5 characters, 32 is the least."),
        ("wrong.key", "f" * 64, "The Vault root key in {path} does not open secret {secret}."),
    ],
)
def test_a_wrong_or_missing_root_key_is_said_clearly(
    connection: psycopg.Connection, name: str, key: str | None, sentence: str
) -> None:
    identity = keep(connection, "hush")
    path = use_key(connection, name, key)
    with pytest.raises(psycopg.Error) as raised:
        opened(connection)
    assert raised.value.sqlstate == KB021
    assert raised.value.diag.message_primary == sentence.format(path=path, secret=identity)
    assert raised.value.diag.message_hint
    assert "hush" not in str(raised.value)


def test_a_root_key_that_is_no_text_is_said_clearly(connection: psycopg.Connection) -> None:
    path = use_key(connection, "binary.key", "x")
    copy = psycopg.sql.SQL("copy (select {}) to {} with (format binary)").format(b"\xff\x00", path)
    connection.execute(copy)
    with pytest.raises(psycopg.Error, match=r"^The Vault root key in .*binary\.key is not text\."):
        keep(connection, "hush")


def test_a_wrong_root_key_of_one_secret_hides_no_other(connection: psycopg.Connection) -> None:
    keep(connection, "hush")
    use_key(connection, "wrong.key", "f" * 64)
    keep(connection, "under another key", "other")
    assert opened(connection, "other") == "under another key"


def test_the_root_key_is_changed_in_one_transaction(connection: psycopg.Connection) -> None:
    """As docs/operations.md tells it: the secrets pass through memory, and are never in a statement."""
    keep(connection, "first", "a")
    keep(connection, "second", "b")
    old = use_key(connection, "right.key")
    new = use_key(connection, "new.key", "e" * 64)
    connection.execute(
        psycopg.sql.SQL("""
        do $$
        declare
          kept record;
        begin
          for kept in select id from vault.secrets loop
            perform set_config('bilag.vault_key_file', {old}, true);
            select decrypted_secret as plain, id into kept from vault.decrypted_secrets where id = kept.id;
            perform set_config('bilag.vault_key_file', {new}, true);
            perform vault.update_secret(kept.id, kept.plain);
          end loop;
        end $$
    """).format(old=old, new=new)
    )
    assert (opened(connection, "a"), opened(connection, "b")) == ("first", "second")


def test_secrets_can_be_carried_over_to_another_vault(connection: psycopg.Connection) -> None:
    keep(connection, "hush")
    connection.execute("alter schema vault rename to vault_before")
    row = connection.execute("select name, vault_before.open_sealed(secret) from vault_before.secrets").fetchone()
    assert row == ("integration_1_api_key", "hush")


def test_plaintext_around_the_functions_is_refused_without_repeating_it(connection: psycopg.Connection) -> None:
    identity = keep(connection, "hush")
    for statement in (
        "insert into vault.secrets (secret) values (%(secret)s)",
        "update vault.secrets set secret = %(secret)s where id = %(id)s",
    ):
        with pytest.raises(psycopg.Error) as raised:
            connection.execute(statement, {"secret": "plain", "id": identity})
        assert raised.value.sqlstate == KB021
        assert "plain " not in str(raised.value)
    assert opened(connection) == "hush"


def test_nobody_but_the_owner_may_do_anything(connection: psycopg.Connection) -> None:
    assert (
        connection.execute("""
        select p.oid::regprocedure::text from pg_proc p
        where p.pronamespace = 'vault'::regnamespace and has_function_privilege('public', p.oid, 'execute')
    """).fetchall()
        == []
    )
    assert (
        connection.execute("""
        select c.oid::regclass::text from pg_class c
        where c.relnamespace = 'vault'::regnamespace and c.relacl is not null
    """).fetchall()
        == []
    )
    assert (
        connection.execute("""
        select p.oid::regprocedure::text from pg_proc p
        where p.pronamespace = 'vault'::regnamespace and p.prosecdef
          and not 'search_path=pg_catalog, pg_temp' = any (coalesce(p.proconfig, '{}'))
    """).fetchall()
        == []
    )


def test_no_plaintext_reaches_heap_wal_or_log(connection: psycopg.Connection, server: Server) -> None:
    first, second = "canary-4f1d-first-secret", "canary-4f1d-second-secret"
    control = "canary-4f1d-this-one-is-no-secret"
    identity = keep(connection, first)
    connection.execute("select vault.update_secret(%s, %s)", (identity, second))
    keep(connection, first * 2000, "a large one, which is toasted")
    with pytest.raises(psycopg.Error):
        keep(connection, second)  # of a name that is taken
    use_key(connection, "no-such.key")
    with pytest.raises(psycopg.Error):
        keep(connection, second, "without a key")
    use_key(connection, "right.key")
    assert opened(connection) == second
    connection.execute("create table public.control as select %s::text as said", (control,))
    connection.execute("checkpoint")
    connection.execute("select pg_switch_wal()")

    key = KEY.encode()
    secrets = [form for secret in (first, second) for form in forms(secret)]
    assert files_with(connection, [*secrets, key]) == []
    found = files_with(connection, [control.encode()])
    assert any("/pg_wal/" in path for path in found)
    assert any("/base/" in path for path in found)
    if isinstance(server, Cluster):
        log = server.log_path.read_bytes()
        assert b"duplicate key" in log
        assert not any(form in log for form in (*secrets, key))


def forms(secret: str) -> list[bytes]:
    """A secret as it is, in base64 at each alignment, in hexadecimal and as part of a URL."""
    plain = secret.encode()
    shifted = [base64.b64encode(b"\0" * shift + plain)[4:-4] for shift in range(3)]
    return [plain, *shifted, plain.hex().encode(), quote(secret, safe="").encode()]


def files_with(connection: psycopg.Connection, needles: list[bytes]) -> list[str]:
    """The files of the data directory that hold one of the needles; of other databases none."""
    row = connection.execute("select oid::text from pg_database where datname = current_database()").fetchone()
    assert row is not None
    return [path for (path,) in connection.execute(FILES_WITH.encode(), (row[0], needles))]
