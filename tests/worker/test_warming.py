"""Before a scheduled run its connections are opened; a run that opens them itself is logged and counted as cold."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dev.fakes import XledgerFake, serving
from tests.fix_bilag import Bilag, Organisation
from tests.fix_hands import Opened
from tests.sql.fake_worker import FakeWorker
from worker import telemetry
from worker.listener import SOON
from worker.metrics import Metrics
from worker.settings import Settings
from worker.warming import Warmer
from worker.workshop import Workshop

pytestmark = pytest.mark.anyio


@pytest.fixture
def erp() -> Iterator[str]:
    """A stand-in that fails the test if it was asked for data."""
    with serving(XledgerFake(token=None)) as fake:
        yield f"{fake.url}"
        assert set(fake.calls) <= {"invalid"}, "a HEAD is no question that it knows"


def scheduled(org: Organisation, **columns: object) -> None:
    values = {"integration_type": "xledger", "frequency": "daily", "run_at": "12:01", **columns}
    org.insert("export_schedules", values)


async def test_connections_are_opened_before_a_run_and_are_then_no_cold_start(
    bilag: Bilag, org: Organisation, opened: Opened, erp: str
) -> None:
    org.configure(base_url=erp)
    scheduled(org)
    database = await opened(org.database.dsn)
    metrics = Metrics()
    workshop = Workshop(Settings(allowed_http_hosts=frozenset({"127.0.0.1"})), database, metrics)
    (near,) = await database.due_soon()
    await Warmer(database, lambda: workshop).warm()
    assert metrics.cold_starts.values == {}
    with telemetry.bound(correlation_id="a job's"):
        http = workshop.client.bind(near["correlationId"])
        await http.send("HEAD", erp, writes=False)
        assert metrics.cold_starts.values == {}, "the connection was there"
        await workshop.client.aclose()
        await http.send("HEAD", erp, writes=False)
    assert metrics.cold_starts.values == {(): 1}
    await workshop.close()


async def test_a_system_that_is_not_there_is_no_matter(bilag: Bilag, org: Organisation, opened: Opened) -> None:
    org.configure(base_url="http://127.0.0.1:1/graphql")
    scheduled(org)
    database = await opened(org.database.dsn)
    workshop = Workshop(Settings(allowed_http_hosts=frozenset({"127.0.0.1"})), database, Metrics())
    await Warmer(database, lambda: workshop).warm()
    await workshop.close()


async def test_only_what_is_due_before_the_next_tick_is_near_and_each_system_once(
    bilag: Bilag, org: Organisation, opened: Opened
) -> None:
    other = bilag.organisation("Other")
    database = await opened(org.database.dsn)
    scheduled(org, run_at="12:02")
    assert await database.due_soon() == []
    bilag.advance(seconds=45)
    scheduled(other, run_at="12:02")
    assert len(await database.due_soon()) == 1, "both go to the same place"
    for name in ("Testlaget", "Other"):
        bilag.database.sql(
            "update bilag.integration_config c set enabled = false from bilag.organizations o"
            " where o.id = c.org_id and o.name = %s",
            name,
        )
    assert await database.due_soon() == []


def test_the_tick_says_so_before_the_run(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    ears = bilag.database.connect()
    ears.execute("listen bilag_wake")
    scheduled(org)
    worker.tick()
    assert [note.payload for note in ears.notifies(timeout=2, stop_after=1)] == [SOON]
