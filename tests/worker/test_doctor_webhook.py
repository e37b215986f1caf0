"""What doctor says of the webhook: nothing of one that is not set, and why one does not work."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import LiteralString

import pytest

from tests.fix_bilag import Bilag
from tests.fix_shell import Shell

SET: LiteralString = "select bilag.set_webhook(%s, 'a secret of 24 characters or more')"


@pytest.fixture
def listening() -> Iterator[str]:
    """A port that takes connections, and a worker's permission to call it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/hook"


def said(bilag_shell: Shell) -> tuple[bool, str]:
    (check,) = [check for check in bilag_shell("doctor", "--json").json if check["name"] == "webhook"]
    assert check["well"] or "test_webhook" in check["mend"]
    return check["well"], check["said"]


def test_none_is_well(bilag_shell: Shell, bilag: Bilag) -> None:
    assert said(bilag_shell) == (True, "none is set")


def test_one_that_workers_may_not_call_is_told(bilag_shell: Shell, bilag: Bilag, listening: str) -> None:
    bilag.database.sql(SET, listening)
    well, sentence = said(bilag_shell)
    assert (well, "plain http to 127.0.0.1 is not allowed" in sentence) == (False, True)
    bilag.database.sql(SET, "https://127.0.0.1/")
    assert "no address on the public internet" in said(bilag_shell)[1]


def test_one_that_answers_is_well_and_one_that_does_not_is_told(
    bilag_shell: Shell, bilag: Bilag, listening: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILAG_ALLOWED_HTTP_HOSTS", "127.0.0.1,nowhere.invalid")
    bilag.database.sql(SET, listening)
    assert said(bilag_shell) == (True, "127.0.0.1 can be reached; no event was sent yet")
    bilag.database.sql(SET, "http://127.0.0.1:1/hook")
    assert said(bilag_shell)[1].startswith("The webhook's receiver 127.0.0.1 cannot be reached")
    bilag.database.sql(SET, "http://nowhere.invalid/hook")
    assert said(bilag_shell)[1].startswith("The webhook's receiver nowhere.invalid cannot be reached")


def test_one_that_fails_says_since_when_and_why(
    bilag_shell: Shell, bilag: Bilag, listening: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILAG_ALLOWED_HTTP_HOSTS", "127.0.0.1")
    bilag.database.sql(SET, listening)
    bilag.database.sql(
        "update bilag.webhook set failures = 3, failing_since = bilag_internal.now(), last_error = 'HTTP 500'"
    )
    well, sentence = said(bilag_shell)
    assert not well
    assert sentence.startswith("127.0.0.1 has not taken an event since 2026-03-02")
    assert sentence.endswith("0 wait: HTTP 500.")


def test_one_without_its_secret_and_one_that_is_disabled_are_told(
    bilag_shell: Shell, bilag: Bilag, listening: str
) -> None:
    bilag.database.sql(SET, listening)
    bilag.database.sql("select bilag.test_webhook()")
    bilag.database.sql("update bilag.webhook set enabled = false")
    assert said(bilag_shell) == (True, "it is disabled, and 1 events wait")
    bilag.database.sql("delete from vault.secrets")
    assert said(bilag_shell) == (False, "The webhook's secret is not in Vault.")
