"""The compose file's image, run by Docker through testcontainers: the same Postgres that Supabase runs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dev.postgres.cluster import free_port
from dev.postgres.server import RestartMode, Server

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

COMPOSE = Path(__file__).resolve().parents[2] / "docker-compose.yml"
USER = "supabase_admin"
"""The superuser of Supabase's image; its ``postgres`` is none."""

PASSWORD = "throw-away"
UP_WITHIN_SECONDS = 180
"""The image initialises itself at its first start."""


def image() -> str:
    """The image that the compose file pins."""
    pinned = re.search(r"image: (supabase/postgres:\S+)", COMPOSE.read_text(encoding="utf-8"))
    if pinned is None:
        raise RuntimeError(f"{COMPOSE} pins no supabase/postgres image.")
    return pinned[1]


def docker_answers() -> bool:
    """Whether a Docker daemon answers within a few seconds."""
    import docker

    try:
        docker.from_env(timeout=5).ping()
    except (docker.errors.DockerException, OSError):
        return False
    return True


@contextmanager
def run(cron_database: str | None) -> Iterator[Server]:
    """A container for as long as the block runs. Ryuk removes it should this process not live to do so."""
    from testcontainers.core.container import DockerContainer

    port = free_port()
    settings = {"config_file": "/etc/postgresql/postgresql.conf", "max_connections": "200"}
    if cron_database is not None:
        settings["cron.database_name"] = cron_database
    arguments = " ".join(f"-c {name}={value}" for name, value in settings.items())
    started = (
        DockerContainer(image())
        .with_env("POSTGRES_PASSWORD", PASSWORD)
        .with_bind_ports(5432, port)  # fixed, so that a restart comes back to the same DSN
        .with_command(f"postgres {arguments}")
    )
    with started:
        server = Container(started, port, cron_database)
        server.wait()
        if cron_database is not None:
            server.create_database(cron_database)
        yield server


class Container(Server):
    """Postgres in a container."""

    def __init__(self, container: DockerContainer, port: int, cron_database: str | None) -> None:
        self._container = container
        self.port = port
        self.cron_database = cron_database

    def dsn(self, database: str = "postgres", user: str | None = None) -> str:
        return f"postgresql://{user or USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        self._container.get_wrapped_container().start()
        self.wait()

    def stop(self, mode: RestartMode = "fast") -> None:
        wrapped = self._container.get_wrapped_container()
        if mode == "immediate":
            wrapped.kill("SIGQUIT")
            wrapped.wait(timeout=60)
        else:
            wrapped.stop(timeout=60)

    def wait(self) -> None:
        """Return when it accepts connections on its port; during the first start it serves its socket only."""
        import psycopg

        deadline = time.monotonic() + UP_WITHIN_SECONDS
        while True:
            try:
                psycopg.connect(self.dsn(), connect_timeout=3).close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return
