"""What ``bilag doctor`` looks at: every dependency and setting, each with its mend. Nothing is changed by looking."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any
from uuid import uuid4

from worker import adapters
from worker.cli import checks_members, checks_secrets, checks_webhook
from worker.cli.connections import connected
from worker.cli.told import Told, sentence
from worker.database import ACT_AS_WORKER, HELLO
from worker.settings import Settings, SettingsError
from worker.version import CONTRACT, bilag_version
from worker.watchman import STALE_SECONDS

_OLDEST_SERVER = 150000
_MOST_SKEW_SECONDS = 5.0
_ALIKE = 0.8
"""From here on two names are taken for one and its misspelling: BILAG_CONCURENCY, and BILAG_DATABASE_URL too."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. ``mend`` says what to do when it is not well."""

    name: str
    well: bool
    said: str
    mend: str = ""


def look(settings: Settings) -> Iterator[Check]:
    """All checks. Each stands alone, so that one failure does not hide another."""
    for name, mend, ask in _CHECKS:
        try:
            yield Check(name, True, ask(settings))
        except (Told, SettingsError) as error:
            yield Check(name, False, sentence(str(error)), mend)


def _server(settings: Settings) -> str:
    with connected(settings.worker_url) as connection:
        number, version = connection.info.server_version, connection.info.parameter_status("server_version")
        if number < _OLDEST_SERVER:
            raise Told(f"Postgres {version} is too old: Bilag needs 15 or later.")
        return f"Postgres {version}, as {connection.info.user} in {connection.info.dbname}"


def _isolation(settings: Settings) -> str:
    with connected(settings.worker_url) as connection:
        ((level,),) = connection.execute("select current_setting('default_transaction_isolation')").fetchall()
        if level != "read committed":
            raise Told(f"Transactions begin as {level} here; who waits for a lane must see what its holder did.")
        return str(level)


def _clock(settings: Settings) -> str:
    with connected(settings.worker_url) as connection:
        ((there,),) = connection.execute("select extract(epoch from clock_timestamp())").fetchall()
        skew = abs(time.time() - float(there))
        if skew > _MOST_SKEW_SECONDS:
            raise Told(f"The clocks of this machine and of the database differ by {skew:.0f} s.")
        return f"{skew:.1f} s apart"


def _role(settings: Settings) -> str:
    with connected(settings.worker_url) as connection:
        connection.execute(ACT_AS_WORKER.format(milliseconds=10_000))
        return f"{connection.info.user} may act as bilag_worker"


def _hello(settings: Settings) -> dict[str, Any]:
    """What the database says to a worker like this one; rolled back, so that no such worker is seen."""
    me = (uuid4(), socket.gethostname(), os.getpid(), bilag_version(), CONTRACT, settings.environment)
    with connected(settings.worker_url) as connection:
        connection.execute(ACT_AS_WORKER.format(milliseconds=10_000))
        ((said,),) = connection.execute(HELLO, me).fetchall()
        return dict(said)


def _agreement(settings: Settings) -> str:
    said = _hello(settings)
    return f"contract {said['contract']}, environment {said['environment']}"


def _tick(settings: Settings) -> str:
    age = _hello(settings).get("tickAge")
    if age is None:
        raise Told("Nothing has ticked in this database yet: schedules do not start and nothing heals.")
    if age > STALE_SECONDS:
        raise Told(f"The last tick was {age:.0f} s ago: schedules do not start and nothing heals.")
    return f"the last tick was {age:.0f} s ago"


def _schema(settings: Settings) -> str:
    from worker.migrate import MigrationError, migrate

    try:
        drift = migrate(settings.owner_url, check=True).drift
    except MigrationError as error:
        raise Told(str(error)) from None
    if drift:
        raise Told(f"The schema is not at this version: {' '.join(drift)}")
    return "at this version"


def _listening(settings: Settings) -> str:
    url = settings.listen_url or settings.worker_url
    channel = f"bilag_doctor_{uuid4().hex}"
    with connected(url) as connection:
        connection.commit()
        connection.autocommit = True
        connection.execute(f'listen "{channel}"'.encode())
        connection.execute("select pg_notify(%s, '')", (channel,))
        if any(True for _ in connection.notifies(timeout=2, stop_after=1)):
            return "wake-ups arrive"
    if settings.listen_url:
        raise Told("BILAG_LISTEN_URL is not a direct connection: no notification came back.")
    return "DATABASE_URL goes through a pooler: work is found by polling"


def _variables(_settings: Settings) -> str:
    read = {f"BILAG_{field.name.upper()}" for field in fields(Settings) if field.name != "database_url"}
    for name in sorted(name for name in os.environ if name.startswith("BILAG_") and name not in read):
        for meant in get_close_matches(name, read | {"DATABASE_URL"}, 1, _ALIKE):
            raise Told(f"{name} is set and nothing reads it; {meant} is what is read.")
    return "none is misspelled"


def _adapters(_settings: Settings) -> str:
    broken, keys = [], adapters.keys()
    for key in keys:
        try:
            adapters.load(key)
        except (ImportError, TypeError, AttributeError, SyntaxError) as error:
            broken.append(f"{key} ({error})")
    if broken:
        raise Told(f"These adapters do not load: {', '.join(broken)}.")
    return ", ".join(keys)


_CHECKS: tuple[tuple[str, str, Callable[[Settings], str]], ...] = (
    ("variables", "Name it as .env.example does.", _variables),
    ("server", "Check DATABASE_URL, and that Postgres runs.", _server),
    (
        "isolation",
        "Set default_transaction_isolation to read committed, by alter role or alter database.",
        _isolation,
    ),
    ("clock", "Synchronise the clocks (NTP).", _clock),
    ("role", "grant bilag_worker to the login of DATABASE_URL; run bilag migrate first.", _role),
    ("vault", "See the sentence; docs/operations.md says where the root key belongs.", checks_secrets.vault),
    ("agreement", "See the sentence; docs/operations.md has more.", _agreement),
    ("schema", "Run bilag migrate.", _schema),
    ("tick", "Start a worker, or look at cron.job_run_details.", _tick),
    ("credentials", "bilag secret set ORG TYPE; unset BILAG_CREDENTIAL_FALLBACK.", checks_secrets.credentials),
    (
        "hosts",
        "Correct the URL, allow_host(), or BILAG_ALLOWED_HTTP_HOSTS.",
        checks_secrets.hosts,
    ),
    ("members", "Mend bilag_hooks.memberships(): docs/security.md shows how.", checks_members.members),
    ("webhook", "Mend the receiver or set_webhook(); then select bilag.test_webhook().", checks_webhook.webhook),
    ("listening", "Set BILAG_LISTEN_URL to a direct connection, or unset it.", _listening),
    ("adapters", "Mend the file in worker/adapters/.", _adapters),
)
