"""No dump, log, heap or WAL ever holds a secret of the stand-in's, or its root key."""

from __future__ import annotations

import base64
from urllib.parse import quote

import psycopg
import pytest

from dev.postgres import Cluster, Server
from tests.fix_vault import KB021, KEY, keep, read, use_key

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


def test_plaintext_around_the_functions_is_refused_without_repeating_it(vault: psycopg.Connection) -> None:
    identity = keep(vault, "hush")
    for statement in (
        "insert into vault.secrets (secret) values (%(secret)s)",
        "update vault.secrets set secret = %(secret)s where id = %(id)s",
    ):
        with pytest.raises(psycopg.Error) as raised:
            vault.execute(statement, {"secret": "plain", "id": identity})
        assert raised.value.sqlstate == KB021
        assert "plain " not in str(raised.value)
    assert read(vault) == "hush"


def test_nobody_but_the_owner_may_do_anything(vault: psycopg.Connection) -> None:
    assert (
        vault.execute("""
        select p.oid::regprocedure::text from pg_proc p
        where p.pronamespace = 'vault'::regnamespace and has_function_privilege('public', p.oid, 'execute')
    """).fetchall()
        == []
    )
    assert (
        vault.execute("""
        select c.oid::regclass::text from pg_class c
        where c.relnamespace = 'vault'::regnamespace and c.relacl is not null
    """).fetchall()
        == []
    )
    assert (
        vault.execute("""
        select p.oid::regprocedure::text from pg_proc p
        where p.pronamespace = 'vault'::regnamespace and p.prosecdef
          and not 'search_path=pg_catalog, pg_temp' = any (coalesce(p.proconfig, '{}'))
    """).fetchall()
        == []
    )


def test_no_plaintext_reaches_heap_wal_or_log(vault: psycopg.Connection, vault_server: Server) -> None:
    first, second = "canary-4f1d-first-secret", "canary-4f1d-second-secret"
    control = "canary-4f1d-this-one-is-no-secret"
    identity = keep(vault, first)
    vault.execute("select vault.update_secret(%s, %s)", (identity, second))
    keep(vault, first * 2000, "a large one, which is toasted")
    with pytest.raises(psycopg.Error):
        keep(vault, second)  # of a name that is taken
    use_key(vault, "no-such.key")
    with pytest.raises(psycopg.Error):
        keep(vault, second, "without a key")
    use_key(vault, "right.key")
    assert read(vault) == second
    vault.execute("create table public.control as select %s::text as said", (control,))
    vault.execute("checkpoint")
    vault.execute("select pg_switch_wal()")

    key = KEY.encode()
    secrets = [form for secret in (first, second) for form in forms(secret)]
    assert files_with(vault, [*secrets, key]) == []
    found = files_with(vault, [control.encode()])
    assert any("/pg_wal/" in path for path in found)
    assert any("/base/" in path for path in found)
    if isinstance(vault_server, Cluster):
        log = vault_server.log_path.read_bytes()
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
