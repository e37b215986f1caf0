"""Fixtures: whole installations of real processes, on a Postgres that writes as a production server does.

Time is scaled: nearly the shortest lease and timeout that are allowed, and an ``absence_after`` of Xledger that fits
them. A look-up that finds nothing therefore proves something after four seconds instead of a minute. Business Central's
is left as it is: its look-ups do not wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dev.fakes import serving
from dev.fakes.remote import RemoteFake, running
from dev.postgres import Server, throw_away
from tests.fix_fakes import ended
from tests.fix_postgres import make_template, numbers
from tests.flow.installation import Installation, beside_process, beside_thread
from tests.flow.stories import Telling, World
from tests.flow.systems import XLEDGER, System
from tests.flow.tenant import Sturdy

ABSENCE_AFTER = "4 s"


def scaled_template(server: Server) -> str:
    """A migrated database whose times fit the shortest lease."""
    name = make_template(server)
    with psycopg.connect(server.dsn(name), autocommit=True) as connection:
        connection.execute(
            "update bilag.integration_types set absence_after = %s::interval where integration_type <> 'dynamics365'",
            (ABSENCE_AFTER,),
        )
    return name


@contextmanager
def installed(
    server: Server, template: str, folder: Path, system: System = XLEDGER
) -> Iterator[tuple[Installation, Any]]:
    """An installation of its own. A fault that was scripted and never happened fails the story."""
    database = Sturdy(server, server.create_database(f"flow_{next(numbers)}", template))
    with serving(system.make()) as erp:
        here = beside_thread(database, folder, erp, system.connecting(erp.url, erp.facts()))
        try:
            yield here, erp
        finally:
            here.close()
        ended(erp)


@pytest.fixture(scope="session")
def durable_server() -> Iterator[Server]:
    """A server of our own that writes as a production server does. Many installations share it."""
    with throw_away(ours=True, durable=True) as running:
        yield running


@pytest.fixture(scope="session")
def flow_template(durable_server: Server) -> str:
    return scaled_template(durable_server)


@pytest.fixture(scope="session")
def telling(
    request: pytest.FixtureRequest,
    durable_server: Server,
    flow_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Telling]:
    """All selected stories, being told."""

    @contextmanager
    def setting(world: World) -> Iterator[tuple[Installation, Any]]:
        folder = tmp_path_factory.mktemp("story")
        if not world.own_server:
            with installed(durable_server, flow_template, folder, world.system) as scene:
                yield scene
            return
        with (
            throw_away(ours=True, durable=True) as own,
            installed(own, scaled_template(own), folder, world.system) as scene,
        ):
            yield scene

    tmp_path_factory.getbasetemp()  # made before the stories: two threads would make one each
    tests = [item.function for item in request.session.items if isinstance(item, pytest.Function)]
    made = Telling((test.story for test in tests if hasattr(test, "story")), setting)
    yield made
    made.end()


@pytest.fixture
def here_alone(
    request: pytest.FixtureRequest, durable_server: Server, flow_template: str, tmp_path: Path
) -> Iterator[tuple[Installation, RemoteFake]]:
    """An installation for a test that times something: no story is being told meanwhile, and the accounting system is
    a process of its own, whose work neither coverage nor what earlier tests left in memory slows down.

    Parametrised indirectly, it is one with that accounting system.
    """
    request.getfixturevalue("telling").all_told()
    system = getattr(request, "param", XLEDGER)
    database = Sturdy(durable_server, durable_server.create_database(f"flow_{next(numbers)}", flow_template))
    with running() as base:
        erp = RemoteFake(base, system.key)
        here = beside_process(database, tmp_path, erp, system.connecting(erp.url, erp.state()))
        try:
            yield here, erp
        finally:
            here.close()
