"""The command line: exit codes, and one sentence for a mistake."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.fix_postgres import Database as Installed
from tests.fix_shell import Shell

COMMANDS = (
    *("migrate", "worker", "doctor", "status", "preview", "export", "file", "claim"),
    *("health", "secret", "dead-letters", "pause", "resume", "recover", "uninstall", "version"),
)


def test_every_command_is_listed_and_has_its_help(shell: Shell) -> None:
    listed = shell("--help")
    assert listed.code == 0
    for command in COMMANDS:
        assert command in listed.out
        assert shell(command, "--help").code == 0
    assert "..." not in listed.out.partition("Commands:")[2], "a summary that is cut off says nothing"


@pytest.mark.parametrize(
    "words",
    [["fly"], ["worker", "--drian"], ["claim", "only-one"], ["pause", "ORG"], ["pause", "--everything", "ORG", "file"]],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(shell: Shell, words: list[str]) -> None:
    said = shell(*words)
    assert (said.code, said.out) == (2, "")
    assert "Error: " in said.err


def test_a_queue_that_does_not_exist_is_wrong_usage(shell: Shell) -> None:
    assert "there is no queue 'invoices'" in shell("worker", "--queues", "invoices").err


@pytest.mark.parametrize("command", ["status", "worker", "doctor", "migrate"])
def test_without_a_database_the_sentence_names_the_variable(shell: Shell, command: str) -> None:
    said = shell(command)
    assert said.code == 1
    assert "DATABASE_URL is not set" in said.out + said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("dsn", [None, "not a dsn", "postgresql://u:hunter2@127.0.0.1:1/db"])
def test_with_and_without_options_a_worker_that_cannot_start_says_the_same(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, dsn: str | None
) -> None:
    if dsn:
        monkeypatch.setenv("DATABASE_URL", dsn)
    said = shell("worker")
    assert (said.code, said.out, said.err.count("\n")) == (1, "", 1)
    assert said.err.startswith("bilag: ")
    assert "hunter2" not in said.err
    assert shell("worker", "--queues", "exports") == said


def test_a_wrong_setting_is_one_sentence(bilag_shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILAG_CONCURRENCY", "many")
    said = bilag_shell("worker")
    assert said.code == 1
    assert said.err == "bilag: BILAG_CONCURRENCY is 'many': it must be a whole number from 1 to 1000.\n"


def test_a_database_that_is_not_there_is_one_sentence(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter2@127.0.0.1:1/db")
    said = shell("status")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "refused" in said.err
    assert "hunter2" not in said.err


def test_a_database_without_bilag_says_to_migrate(
    shell: Shell, empty_database: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database.dsn)
    assert "bilag migrate" in shell("status").err


def test_version_says_the_contract(shell: Shell) -> None:
    assert shell("version", "--json").json["contract"] == 1
    assert shell("version").out.startswith("bilag ")


def test_a_sentence_never_carries_a_secret(shell: Shell) -> None:
    said = shell("migrate", "--dsn", f"postgresql://u:{uuid4().hex}@127.0.0.1:1/db")
    assert said.code == 1
    assert "@127" not in said.err
