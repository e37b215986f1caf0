"""The worker's environment: read once, checked at once, frozen.

Every variable of ``.env.example`` that a process of ours reads is here and nowhere else. The parser is a dataclass
and not pydantic-settings: importing that costs more (0.2 s) than all that a worker does until its first dequeue.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

N = TypeVar("N", int, float)

WRITE_MARGIN_SECONDS = 2.0
"""What a write needs beside its own timeout before the lease ends: to be begun, and to be given up."""

LOG_FORMATS = ("json", "console")
LOG_LEVELS = ("debug", "info", "warning", "error")
FALLBACKS = ("none", "env")


class SettingsError(ValueError):
    """A variable of the environment is missing or wrong. Its text is one sentence that names the variable."""


@dataclass(frozen=True)
class Settings:
    """All settings of a process. Durations are in seconds; URLs may hold passwords and are never printed."""

    database_url: str | None = field(default=None, repr=False)
    migrate_url: str | None = field(default=None, repr=False)
    listen_url: str | None = field(default=None, repr=False)
    environment: str = "development"
    concurrency: int = 10
    lease_seconds: int = 60
    poll_seconds: float = 1.0
    delivery_seconds: int = 150
    shutdown_grace_seconds: float = 30.0
    http_timeout_seconds: float = 10.0
    http_host: str = "127.0.0.1"
    http_port: int = 9464
    allowed_http_hosts: frozenset[str] = frozenset()
    log_format: str = "json"
    log_level: str = "info"
    credential_fallback: str = "none"

    @property
    def worker_url(self) -> str:
        """The DSN of the worker. Raises SettingsError when there is none."""
        if not self.database_url:
            raise SettingsError("DATABASE_URL is not set: give it, or DATABASE_URL_FILE, the URL of the database.")
        return self.database_url

    @property
    def owner_url(self) -> str:
        """The DSN of people and of migrations: BILAG_MIGRATE_URL, else DATABASE_URL."""
        return self.migrate_url or self.worker_url

    @property
    def longest_write_seconds(self) -> float:
        """How much of a lease must be left for a write to be begun."""
        return self.http_timeout_seconds + WRITE_MARGIN_SECONDS


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment. Raises SettingsError on the first variable that is wrong."""
    env = os.environ if environ is None else environ
    settings = Settings(
        database_url=_database_url(env),
        migrate_url=env.get("BILAG_MIGRATE_URL") or None,
        listen_url=env.get("BILAG_LISTEN_URL") or None,
        environment=env.get("BILAG_ENVIRONMENT") or Settings.environment,
        concurrency=_whole(env, "BILAG_CONCURRENCY", Settings.concurrency, 1, 1000),
        lease_seconds=_whole(env, "BILAG_LEASE_SECONDS", Settings.lease_seconds, 5, 3600),
        poll_seconds=_number(env, "BILAG_POLL_SECONDS", Settings.poll_seconds, 0.05, 60),
        delivery_seconds=_whole(env, "BILAG_DELIVERY_SECONDS", Settings.delivery_seconds, 1, 3600),
        shutdown_grace_seconds=_number(env, "BILAG_SHUTDOWN_GRACE_SECONDS", Settings.shutdown_grace_seconds, 0, 3600),
        http_timeout_seconds=_number(env, "BILAG_HTTP_TIMEOUT_SECONDS", Settings.http_timeout_seconds, 1, 60),
        http_host=env.get("BILAG_HTTP_HOST") or Settings.http_host,
        http_port=_whole(env, "BILAG_HTTP_PORT", Settings.http_port, 0, 65535),
        allowed_http_hosts=frozenset(_words(env.get("BILAG_ALLOWED_HTTP_HOSTS", ""))),
        log_format=_one_of(env, "BILAG_LOG_FORMAT", Settings.log_format, LOG_FORMATS),
        log_level=_one_of(env, "BILAG_LOG_LEVEL", Settings.log_level, LOG_LEVELS),
        credential_fallback=_one_of(env, "BILAG_CREDENTIAL_FALLBACK", Settings.credential_fallback, FALLBACKS),
    )
    _refuse_what_is_shorter_than_a_write(settings)
    return settings


def _refuse_what_is_shorter_than_a_write(settings: Settings) -> None:
    for name, seconds in (
        ("BILAG_LEASE_SECONDS", settings.lease_seconds),
        ("BILAG_DELIVERY_SECONDS", settings.delivery_seconds),
    ):
        if seconds <= settings.longest_write_seconds:
            raise SettingsError(
                f"{name} is {seconds}, but the longest write takes {settings.longest_write_seconds:g} s "
                f"(BILAG_HTTP_TIMEOUT_SECONDS and {WRITE_MARGIN_SECONDS:g} s): no write could ever be begun."
            )


def _database_url(env: Mapping[str, str]) -> str | None:
    named = env.get("DATABASE_URL_FILE")
    if not named:
        return env.get("DATABASE_URL") or None
    if env.get("DATABASE_URL"):
        raise SettingsError("DATABASE_URL and DATABASE_URL_FILE are both set: keep one of them.")
    try:
        url = Path(named).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise SettingsError(f"DATABASE_URL_FILE names {named}, which cannot be read: {reason}.") from error
    if not url:
        raise SettingsError(f"DATABASE_URL_FILE names {named}, which is empty.")
    return url


def _words(text: str) -> list[str]:
    return [word.strip().lower() for word in text.split(",") if word.strip()]


def _one_of(env: Mapping[str, str], name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = (env.get(name) or default).strip().lower()
    if value not in allowed:
        raise SettingsError(f"{name} is {value!r}: it must be one of {', '.join(allowed)}.")
    return value


def _whole(env: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    return _bounded(env, name, default, least, most, int, "a whole number")


def _number(env: Mapping[str, str], name: str, default: float, least: float, most: float) -> float:
    return _bounded(env, name, default, least, most, float, "a number")


def _bounded(
    env: Mapping[str, str], name: str, default: N, least: float, most: float, parse: Callable[[str], N], kind: str
) -> N:
    text = (env.get(name) or "").strip()
    if not text:
        return default
    try:
        value = parse(text)
    except ValueError:
        raise SettingsError(f"{name} is {text!r}: it must be {kind} from {least:g} to {most:g}.") from None
    if not least <= value <= most:  # also catches nan
        raise SettingsError(f"{name} is {text}: it must be {kind} from {least:g} to {most:g}.")
    return value
