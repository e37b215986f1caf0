"""Is the stack that ``make up`` started fit to be deployed? The worker answers, and so does the database."""

from __future__ import annotations

import os
from typing import Any

import httpx

from dev import stack

PROBES = ("/livez", "/readyz")


class SmokeFailed(RuntimeError):
    """Something in the stack does not answer; the text names it."""


def smoke() -> None:
    """Ask the worker and the database. Raises SmokeFailed on the first that does not answer as it should."""
    port = os.environ.get("BILAG_COMPOSE_WORKER_PORT") or stack.WORKER_PORT
    for path in PROBES:
        print(f"{path}: {_ask(f'http://127.0.0.1:{port}{path}')}")
    print(f"bilag.workers: {_workers(stack.dsn())} seen")


def _ask(url: str) -> Any:
    try:
        answer = httpx.get(url, timeout=5)
    except httpx.HTTPError as error:
        raise SmokeFailed(f"{url} does not answer: {error}.") from error
    if answer.status_code != httpx.codes.OK:
        raise SmokeFailed(f"{url} answers HTTP {answer.status_code}: {answer.text[:500]}")
    return answer.json()


def _workers(dsn: str) -> int:
    import psycopg

    with psycopg.connect(dsn, connect_timeout=5) as connection:
        row = connection.execute("select count(*) from bilag.workers").fetchone()
    if row is None or row[0] == 0:
        raise SmokeFailed("No worker has made itself known to the database.")
    return int(row[0])
