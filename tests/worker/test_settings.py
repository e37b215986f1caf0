"""The environment: read once, frozen, and every mistake one sentence that names the variable."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from worker.settings import Settings, SettingsError, load

EXAMPLE = Path(__file__).parents[2] / ".env.example"


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    settings = load({})
    assert settings == Settings()
    assert (settings.concurrency, settings.lease_seconds, settings.poll_seconds) == (10, 60, 1)
    assert (settings.delivery_seconds, settings.shutdown_grace_seconds, settings.http_timeout_seconds) == (150, 30, 10)
    assert (settings.http_host, settings.http_port, settings.credential_fallback) == ("127.0.0.1", 9464, "none")


def test_every_variable_is_read() -> None:
    settings = load(
        {
            "DATABASE_URL": "postgresql://a/b",
            "BILAG_MIGRATE_URL": "postgresql://owner@a/b",
            "BILAG_LISTEN_URL": "postgresql://direct/b",
            "BILAG_ENVIRONMENT": "staging",
            "BILAG_CONCURRENCY": "3",
            "BILAG_LEASE_SECONDS": "30",
            "BILAG_POLL_SECONDS": "0.5",
            "BILAG_DELIVERY_SECONDS": "90",
            "BILAG_SHUTDOWN_GRACE_SECONDS": "7",
            "BILAG_HTTP_TIMEOUT_SECONDS": "2.5",
            "BILAG_HTTP_HOST": "10.0.0.1",
            "BILAG_HTTP_PORT": "0",
            "BILAG_ALLOWED_HTTP_HOSTS": "Fakes, 127.0.0.1:8000",
            "BILAG_LOG_FORMAT": "console",
            "BILAG_LOG_LEVEL": "DEBUG",
            "BILAG_CREDENTIAL_FALLBACK": "env",
        }
    )
    changed = {f.name for f in dataclasses.fields(Settings) if getattr(settings, f.name) != f.default}
    assert changed == {f.name for f in dataclasses.fields(Settings)}
    assert settings.allowed_http_hosts == {"fakes", "127.0.0.1:8000"}
    assert settings.log_level == "debug"


def test_a_setting_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        load({}).concurrency = 5  # type: ignore[misc]


def test_no_url_is_shown_when_settings_are_printed() -> None:
    assert "hunter2" not in repr(load({"DATABASE_URL": "postgresql://u:hunter2@a/b"}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BILAG_CONCURRENCY", "0"),
        ("BILAG_CONCURRENCY", "many"),
        ("BILAG_LEASE_SECONDS", "4"),
        ("BILAG_LEASE_SECONDS", "7.5"),
        ("BILAG_POLL_SECONDS", "nan"),
        ("BILAG_POLL_SECONDS", "-1"),
        ("BILAG_HTTP_TIMEOUT_SECONDS", "0.5"),
        ("BILAG_HTTP_PORT", "70000"),
        ("BILAG_LOG_FORMAT", "xml"),
        ("BILAG_LOG_LEVEL", "loud"),
        ("BILAG_CREDENTIAL_FALLBACK", "yes"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as error:
        load({name: value})
    assert str(error.value).startswith(f"{name} is ")
    assert "\n" not in str(error.value)


def test_a_lease_shorter_than_the_longest_write_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"BILAG_LEASE_SECONDS is 12, but the longest write takes 12 s"):
        load({"BILAG_LEASE_SECONDS": "12"})
    assert load({"BILAG_LEASE_SECONDS": "13"}).lease_seconds == 13


def test_the_smallest_documented_lease_works_with_the_smallest_timeout() -> None:
    settings = load({"BILAG_LEASE_SECONDS": "5", "BILAG_HTTP_TIMEOUT_SECONDS": "1"})
    assert settings.longest_write_seconds < settings.lease_seconds


def test_a_delivery_shorter_than_the_longest_write_is_refused() -> None:
    with pytest.raises(SettingsError, match="BILAG_DELIVERY_SECONDS is 10"):
        load({"BILAG_DELIVERY_SECONDS": "10"})


def test_the_database_url_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://from/file\n")
    assert load({"DATABASE_URL_FILE": str(file)}).worker_url == "postgresql://from/file"


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_file_that_gives_no_url_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "url"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match=f"DATABASE_URL_FILE names {file}"):
        load({"DATABASE_URL_FILE": str(file)})


def test_two_database_urls_are_one_too_many() -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL and DATABASE_URL_FILE are both set"):
        load({"DATABASE_URL": "postgresql://a/b", "DATABASE_URL_FILE": "/x"})


def test_without_any_database_url_the_sentence_says_which_to_set() -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL is not set"):
        _ = load({}).worker_url


def test_people_use_the_owner_and_fall_back_to_the_worker() -> None:
    assert load({"DATABASE_URL": "postgresql://w/b"}).owner_url == "postgresql://w/b"
    both = load({"DATABASE_URL": "postgresql://w/b", "BILAG_MIGRATE_URL": "postgresql://o/b"})
    assert (both.owner_url, both.worker_url) == ("postgresql://o/b", "postgresql://w/b")


def test_every_variable_of_the_example_file_is_accepted_as_it_stands_there() -> None:
    lines = (line.lstrip("#").strip() for line in EXAMPLE.read_text().splitlines())
    shown = dict(line.split("=", 1) for line in lines if "=" in line and line.split("=", 1)[0].isupper())
    assert shown
    load({name: value for name, value in shown.items() if name != "DATABASE_URL_FILE"})
