"""The stand-in for Supabase's Vault does what Vault does, and says clearly why when it cannot."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from tests.fix_vault import KB021, keep, read, use_key
from worker.places import MIGRATIONS

SECRETS = Path(__file__).parents[2] / "docs/secrets.md"


def test_a_secret_comes_back_as_it_went_in(vault: psycopg.Connection) -> None:
    for number, secret in enumerate(["hush", "", "æøå €", "line\nbreak 'quote' \\", "x" * 100_000]):
        keep(vault, secret, f"name {number}")
        assert read(vault, f"name {number}") == secret


def test_the_view_has_the_columns_of_supabase_s(vault: psycopg.Connection) -> None:
    identity = keep(vault, "hush")
    cursor = vault.execute("select * from vault.decrypted_secrets")
    assert [column.name for column in cursor.description or ()] == [
        "id", "name", "description", "secret", "decrypted_secret", "created_at", "updated_at",
    ]  # fmt: skip
    row = cursor.fetchone()
    assert row is not None
    assert row[:3] == (identity, "integration_1_api_key", "A token.")
    assert "hush" not in row[3]


def test_an_update_changes_what_it_is_given(vault: psycopg.Connection) -> None:
    identity = keep(vault, "old")
    vault.execute("select vault.update_secret(%s, %s)", (identity, "new"))
    assert read(vault) == "new"
    vault.execute("select vault.update_secret(%s, new_name => 'other', new_description => 'Renamed.')", (identity,))
    assert read(vault, "other") == "new"
    assert vault.execute("select description, updated_at > created_at from vault.secrets").fetchone() == (
        "Renamed.",
        True,
    )


def test_two_secrets_of_one_name_are_refused(vault: psycopg.Connection) -> None:
    keep(vault, "one")
    with pytest.raises(errors.UniqueViolation):
        keep(vault, "two")


def test_equal_secrets_look_different(vault: psycopg.Connection) -> None:
    keep(vault, "same", "a")
    keep(vault, "same", "b")
    assert vault.execute("select count(distinct secret) from vault.secrets").fetchone() == (2,)


def test_every_secret_is_aes_256_with_its_integrity_checked(vault: psycopg.Connection) -> None:
    identity = keep(vault, "hush")
    row = vault.execute("select decode(secret, 'base64') from vault.secrets").fetchone()
    assert row is not None
    # RFC 4880: tag 3 (session key), version 4, symmetric algorithm 9 (AES-256); then tag 18 (integrity protected).
    assert row[0][0:1] + row[0][2:4] == b"\xc3\x04\x09"
    assert row[0][2 + row[0][1]] == 0xD2

    vault.execute("alter table vault.secrets disable trigger all")
    for position in range(20, len(row[0]), 7):
        broken = bytearray(row[0])
        broken[position] ^= 1
        vault.execute("update vault.secrets set secret = encode(%s, 'base64')", (bytes(broken),))
        with pytest.raises(psycopg.Error) as raised:
            read(vault)
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
    vault: psycopg.Connection, name: str, key: str | None, sentence: str
) -> None:
    identity = keep(vault, "hush")
    path = use_key(vault, name, key)
    with pytest.raises(psycopg.Error) as raised:
        read(vault)
    assert raised.value.sqlstate == KB021
    assert raised.value.diag.message_primary == sentence.format(path=path, secret=identity)
    assert raised.value.diag.message_hint
    assert "hush" not in str(raised.value)


def test_a_root_key_that_is_no_text_is_said_clearly(vault: psycopg.Connection) -> None:
    path = use_key(vault, "binary.key", "x")
    copy = psycopg.sql.SQL("copy (select {}) to {} with (format binary)").format(b"\xff\x00", path)
    vault.execute(copy)
    with pytest.raises(psycopg.Error, match=r"^The Vault root key in .*binary\.key is not text\."):
        keep(vault, "hush")


def test_a_wrong_root_key_of_one_secret_hides_no_other(vault: psycopg.Connection) -> None:
    keep(vault, "hush")
    use_key(vault, "wrong.key", "f" * 64)
    keep(vault, "under another key", "other")
    assert read(vault, "other") == "under another key"


def test_the_root_key_is_changed_in_one_transaction(vault: psycopg.Connection) -> None:
    """As docs/operations.md tells it: the secrets pass through memory, and are never in a statement."""
    keep(vault, "first", "a")
    keep(vault, "second", "b")
    old = use_key(vault, "right.key")
    new = use_key(vault, "new.key", "e" * 64)
    vault.execute(
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
    assert (read(vault, "a"), read(vault, "b")) == ("first", "second")


def test_secrets_can_be_carried_over_to_another_vault(vault: psycopg.Connection) -> None:
    keep(vault, "hush")
    vault.execute("alter schema vault rename to vault_before")
    row = vault.execute("select name, vault_before.open_sealed(secret) from vault_before.secrets").fetchone()
    assert row == ("integration_1_api_key", "hush")


def test_the_documented_rotation_of_the_root_key_seals_every_secret_anew(vault: psycopg.Connection) -> None:
    for n in range(3):
        keep(vault, f"token {n}", f"integration_{n}_api_key")
    second = use_key(vault, "second.key", "f" * 64)
    use_key(vault, "right.key")
    (rotate, _move) = re.findall(r"```sql\n(.*?)```", SECRETS.read_text("utf-8"), re.DOTALL)
    vault.execute(rotate.replace("/etc/postgresql/bilag-vault-2.key", second).encode())
    assert [read(vault, f"integration_{n}_api_key") for n in range(3)] == ["token 0", "token 1", "token 2"]
    use_key(vault, "right.key")
    with pytest.raises(psycopg.Error, match="does not open secret"):
        read(vault, "integration_0_api_key")


def test_the_documented_move_carries_every_secret_into_the_extension(vault: psycopg.Connection) -> None:
    keep(vault, "a token", "integration_1_api_key")
    (_rotate, move) = re.findall(r"```sql\n(.*?)```", SECRETS.read_text("utf-8"), re.DOTALL)
    # No extension of Supabase's here: in its place the stand-in again, empty and under another key.
    vault.execute("create table public.stand_in (made text)")
    vault.execute("insert into public.stand_in values (%s)", ((MIGRATIONS / "0002_vault.sql").read_text("utf-8"),))
    other = use_key(vault, "extension.key", "e" * 64)
    use_key(vault, "right.key")
    extension = (
        f"execute (select made from public.stand_in); perform set_config('bilag.vault_key_file', '{other}', false);"
    )
    vault.execute(move.replace("create extension supabase_vault;", extension).encode())
    assert read(vault, "integration_1_api_key") == "a token"
