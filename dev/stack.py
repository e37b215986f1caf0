"""The local stack, kept running between commands: compose where Docker answers, else the throw-away server.

``down`` takes everything away, data too: the stack is for trying things out.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time

from dev import running
from dev.postgres import Cluster, PostgresMissing, packages
from dev.postgres.search import local_binaries
from dev.running import DATABASE, ROOT, Running

ACCOUNTING_PORT = 8770
WORKER_PORT = 9464
"""The ports of docker-compose.yml, on which the stack without Docker answers too."""

COMPOSE_ACCOUNTING = f"http://accounting:{ACCOUNTING_PORT}"
"""The fake accounting systems as the compose file's worker reaches them."""

UP_WITHIN_SECONDS = 20

TO_TRY = (
    "table bilag.overview",
    (
        "insert into bilag.export_runs (org_id, integration_type)"
        " select org_id, integration_type from bilag.integration_config"
    ),
    "table bilag.runs_in_progress",
    "select claim_number, state, voucher_number, reason from bilag.claim_exports limit 20",
)


class StackFailed(RuntimeError):
    """The stack could not be started or stopped; the text says what to look at."""


def up() -> None:
    """Start the stack, or say where the running one is."""
    kept = running.read()
    if kept is None or not kept.answers():
        if _compose_answers():
            _compose("up", "--build", "--detach", "--wait")
            load_samples(_compose_dsn(), COMPOSE_ACCOUNTING)
        else:
            _start_here()
    _show(dsn())


def down() -> None:
    """Stop the stack and remove what it left."""
    kept = running.read()
    if kept is not None:
        kept.end()
    elif _compose_answers():
        _compose("down", "--volumes", "--remove-orphans")
    else:
        print("No stack is up.")
        return
    print("The stack is down.")


def dsn() -> str:
    """The database of the stack that is up. Raises StackFailed when none is."""
    kept = running.read()
    if kept is not None:
        return kept.dsn
    if _compose_answers():
        return _compose_dsn()
    raise StackFailed("No stack is up: `make up` starts one.")


def furnish(stack: Running) -> None:
    """Put around our own server what the compose file puts around its own, on the same ports."""
    from worker.migrate import migrate

    migrate(stack.dsn)
    stack.add("dev.fakes", "--port", str(ACCOUNTING_PORT))
    _wait_for("dev.fakes", ACCOUNTING_PORT)
    load_samples(stack.dsn, f"http://127.0.0.1:{ACCOUNTING_PORT}")
    stack.add(
        "worker",
        "worker",
        environment={
            "DATABASE_URL": stack.dsn,
            "BILAG_ALLOWED_HTTP_HOSTS": "127.0.0.1,localhost",
            "BILAG_HTTP_PORT": str(WORKER_PORT),
        },
    )
    _wait_for("worker", WORKER_PORT)


def load_samples(url: str, accounting: str) -> None:
    """Two organisations for each adapter, with approved claims, unless the database has organisations already.

    ``accounting`` is the base URL of the fake accounting systems as the worker reaches them.
    """
    import psycopg

    from dev.sample import load, organizations
    from dev.systems import Systems
    from worker import adapters

    with psycopg.connect(url, autocommit=True) as connection:
        if connection.execute("select from bilag.organizations limit 1").fetchone() is not None:
            return
        systems = Systems(f"http://127.0.0.1:{ACCOUNTING_PORT}", accounting)
        for organization in organizations(adapters.keys()):
            access = systems.connect(organization)
            load(connection, organization, access.settings, access.credential)


def _wait_for(module: str, port: int) -> None:
    deadline = time.monotonic() + UP_WITHIN_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.05)
    raise StackFailed(f"{module} does not listen on port {port}: .bilag/{module}.log says why.")


def _start_here() -> None:
    binaries = local_binaries() or packages.install()
    if binaries is None:
        raise PostgresMissing("No Postgres 15 or later was found: install postgresql and pg_cron, or start Docker.")
    stack = Running(Cluster.make(binaries, cron_database=DATABASE, outlives_us=True))
    try:
        stack.write()
        if stack.cluster.cron_database is None:
            stack.cluster.create_database(DATABASE)
        furnish(stack)
    except BaseException:
        stack.end()
        raise


def _compose_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    try:
        asked = subprocess.run(["docker", "compose", "ls"], capture_output=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


def _compose(*arguments: str) -> None:
    done = subprocess.run(["docker", "compose", *arguments], cwd=ROOT, check=False)
    if done.returncode != 0:
        raise StackFailed(f"docker compose {arguments[0]} failed: `docker compose logs` says why.")


def _compose_dsn() -> str:
    """The compose file's database, as this machine reaches it."""
    asked = subprocess.run(
        ["docker", "compose", "port", "postgres", "5432"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if asked.returncode != 0:
        raise StackFailed("No stack is up: `make up` starts one.")
    return f"postgresql://postgres:postgres@{asked.stdout.strip()}/postgres"


def _show(url: str) -> None:
    print(f"The stack is up; `make down` takes it away.\n\n    export DATABASE_URL={url}\n")
    for query in TO_TRY:
        print(f'    psql {url} -c "{query}"')
