"""The local stack, kept running between commands: compose where Docker answers, else the throw-away server.

``down`` takes everything away, data too: the stack is for trying things out.
"""

from __future__ import annotations

import shutil
import subprocess

from dev import running
from dev.postgres import Cluster, PostgresMissing, packages
from dev.postgres.search import local_binaries
from dev.running import DATABASE, ROOT, Running

COMPOSE_DSN = "postgresql://postgres:postgres@127.0.0.1:54322/postgres"
"""The database of docker-compose.yml, as this machine reaches it."""

TO_TRY = (
    "table bilag.overview",
    "table bilag.runs_in_progress",
    "select claim_number, state, voucher_number, reason from bilag.claim_exports limit 20",
)


class StackFailed(RuntimeError):
    """The stack could not be started or stopped; the text says what to look at."""


def up() -> None:
    """Start the stack, or say where the running one is."""
    kept = running.read()
    if kept is not None and kept.answers():
        _show(kept.dsn)
    elif _compose_answers():
        _compose("up", "--build", "--detach", "--wait")
        _show(COMPOSE_DSN)
    else:
        _show(_start_here().dsn)


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


def furnish(stack: Running) -> None:
    """Put around our own server what the compose file puts around its own: ``stack.add`` runs a module beside it."""
    from worker.migrate import migrate

    migrate(stack.dsn)


def _start_here() -> Running:
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
    return stack


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


def _show(dsn: str) -> None:
    print(f"The stack is up; `make down` takes it away.\n\n    export DATABASE_URL={dsn}\n")
    for query in TO_TRY:
        print(f'    psql {dsn} -c "{query}"')
