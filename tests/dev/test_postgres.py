"""The throw-away server: real, restartable, and never left behind."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from dev.postgres import Cluster, PostgresMissing, Server, throw_away
from tests.fix_postgres import Database, copied

GONE_WITHIN_SECONDS = 30

OWNER = """
import signal, time
from dev.postgres import throw_away
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background hands on that it is ignored
with throw_away(ours=True) as server:
    print(server.dsn(), getattr(server, "home", ""), flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    with throw_away(ours=True) as running:
        yield running


def answers(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def test_a_test_has_a_database_of_its_own(empty_database: Database) -> None:
    assert empty_database.sql("create table mark (n int)") == []
    assert empty_database.value("select count(*) from mark") == 0


def test_a_database_goes_with_its_test_whoever_is_in_it(server: Server) -> None:
    with copied(server, "template1") as made:
        stays = psycopg.connect(made.dsn)
    stays.close()
    assert not answers(made.dsn)


def test_a_copy_holds_what_its_template_held(server: Server) -> None:
    with psycopg.connect(server.create_database("some_template")) as connection:
        connection.execute("create table mark as select 7 as n")
    with psycopg.connect(server.create_database("some_copy", "some_template")) as connection:
        assert connection.execute("select n from mark").fetchone() == (7,)


def test_what_was_committed_survives_a_crash_of_the_server(own_server: Server) -> None:
    dsn = own_server.create_database("crashed")
    with psycopg.connect(dsn) as connection:
        connection.execute("create table mark as select 7 as n")
    own_server.restart("immediate")
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select n from mark").fetchone() == (7,)


def test_pg_cron_runs_in_the_one_database_that_is_named(own_server: Server) -> None:
    assert own_server.cron_database == "bilag"
    with own_server.connect("bilag") as connection:
        connection.execute("create extension if not exists pg_cron")
        assert connection.execute("select cron.schedule('mark', '* * * * *', 'select 1')").fetchone() == (1,)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_server_goes_however_its_owner_ends(ending: signal.Signals) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with owner:
        assert owner.stdout is not None
        dsn, _, home = owner.stdout.readline().strip().partition(" ")
        assert answers(dsn)
        owner.send_signal(ending)
        owner.communicate()
    deadline = time.monotonic() + GONE_WITHIN_SECONDS
    while (answers(dsn) or (home and Path(home).exists())) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not answers(dsn)
    assert not (home and Path(home).exists())


def test_the_root_key_lies_outside_the_data_directory_for_its_owner_alone() -> None:
    with throw_away(ours=True, cron_database=None) as server:
        if isinstance(server, Cluster):
            key = server.home / "vault.key"
            assert key.stat().st_mode & 0o777 == 0o600
            assert server.data_dir not in key.parents


def test_a_given_server_keeps_its_own_and_loses_ours(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", own_server.create_database("theirs"))
    monkeypatch.delenv("BILAG_POSTGRES", raising=False)
    with throw_away() as given:
        assert not given.can_restart
        given.create_database("theirs")  # a name that is taken there is no matter
        assert answers(given.create_database("copy", "theirs"))
    with own_server.connect() as connection:
        names = connection.execute("select datname from pg_database where datname ~ 'theirs|copy'").fetchall()
    assert names == [("theirs",)]


def test_a_given_server_without_vault_gets_a_root_key_for_as_long_as_we_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with throw_away(ours=True, cron_database=None, settings={"bilag.vault_key_file": ""}) as plain:
        if not isinstance(plain, Cluster):
            return  # Supabase's image brings Vault, and a root key of its own
        monkeypatch.setenv("DATABASE_URL", plain.dsn())
        monkeypatch.delenv("BILAG_POSTGRES", raising=False)
        with throw_away() as given:
            given.create_database("template")
            with psycopg.connect(given.create_database("copy", "template")) as connection:
                key = connection.execute("select pg_read_file(current_setting('bilag.vault_key_file'))").fetchone()
                path = connection.execute("select current_setting('bilag.vault_key_file')").fetchone()
        assert key is not None
        assert re.fullmatch(r"[0-9a-f]{64}\n", str(key[0]))
        with plain.connect() as connection:
            assert connection.execute("select pg_stat_file(%s, true)", path).fetchone() == (None,)


def test_where_no_server_can_be_had_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILAG_POSTGRES", "binaries")
    monkeypatch.setenv("BILAG_POSTGRES_BIN", "/nowhere")
    with pytest.raises(PostgresMissing, match=r"^No Postgres 15 or later was found: install .*\.$"), throw_away():
        pass
