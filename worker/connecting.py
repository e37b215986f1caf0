"""How the database is reached, and the two ways in which it can fail: an outage passes, a refusal is an answer."""

from __future__ import annotations

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from worker.redaction import guard

CONNECT_SECONDS = 5
_NETWORK = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


class Outage(Exception):
    """The database did not answer, or not in time: whether the call was executed is not known; it may be repeated."""


class Refusal(Exception):
    """The database answered no. ``sqlstate`` is its code (KB0nn are ours), ``hint`` what it advises."""

    def __init__(self, sentence: str, sqlstate: str | None = None, hint: str | None = None) -> None:
        super().__init__(sentence)
        self.sqlstate = sqlstate
        self.hint = hint


def conninfo(dsn: str, application: str, variable: str = "DATABASE_URL") -> str:
    """The DSN with our timeouts wherever it says nothing of its own. Raises Refusal, naming the variable."""
    try:
        given = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        raise Refusal(f"{variable} is not a URL or a conninfo string that libpq understands.") from None
    if isinstance(password := given.get("password"), str):
        guard(password)
    return make_conninfo("", **{**_NETWORK, "application_name": application, **given})


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def refusal(error: psycopg.Error) -> Refusal:
    """The database's answer as one sentence, without the statement or its values."""
    sentence = error.diag.message_primary or str(error).strip() or type(error).__name__
    return Refusal(sentence, error.sqlstate, error.diag.message_hint)
