"""Before a scheduled run its connections are opened; a run that opens them itself is logged and counted as cold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import LiteralString
from uuid import UUID, uuid4

import pytest

from dev.fakes import Dynamics365Fake, XledgerFake, serving
from tests.fix_bilag import Bilag, Organisation
from tests.fix_dynamics365 import SECRET
from tests.fix_hands import Opened
from tests.sql.fake_worker import FakeWorker
from worker import telemetry
from worker.calls import call_of
from worker.database import Database, Refusal
from worker.listener import SOON
from worker.metrics import Metrics
from worker.settings import Settings
from worker.warming import Warmer
from worker.workshop import Workshop

pytestmark = pytest.mark.anyio

CLOSED_TO_WARMING: tuple[tuple[LiteralString, LiteralString], ...] = (
    (
        "update bilag.integration_config set enabled = false where integration_type = 'dynamics365'",
        "update bilag.integration_config set enabled = true where integration_type = 'dynamics365'",
    ),
    (
        "select bilag.pause_integration(org_id, integration_type, 'a test') from bilag.integration_config",
        "select bilag.resume_integration(org_id, integration_type) from bilag.integration_config",
    ),
    ("select bilag.pause_everything('a test')", "select bilag.resume_everything()"),
    ("update bilag.export_schedules set enabled = false", "update bilag.export_schedules set enabled = true"),
    (
        "update bilag.installation set environment = 'production'",
        "update bilag.installation set environment = 'development'",
    ),
    ("update bilag.installation set contract = contract + 1", "update bilag.installation set contract = contract - 1"),
)


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


async def test_what_many_call_is_opened_once(bilag: Bilag, org: Organisation, opened: Opened) -> None:
    with serving(XledgerFake(token=None)) as fake:
        for one in (org, bilag.organisation("Other"), bilag.organisation("Third")):
            one.configure(base_url=fake.url)
            scheduled(one)
        database = await opened(org.database.dsn)
        workshop = Workshop(Settings(allowed_http_hosts=frozenset({"127.0.0.1"})), database, Metrics())
        assert len(await database.due_soon()) == 3
        await Warmer(database, lambda: workshop).warm()
        assert fake.calls == {"invalid": 1}, "a HEAD is no question that it knows"
        await workshop.close()


async def test_a_system_that_is_not_there_is_no_matter(bilag: Bilag, org: Organisation, opened: Opened) -> None:
    org.configure(base_url="http://127.0.0.1:1/graphql")
    scheduled(org)
    database = await opened(org.database.dsn)
    workshop = Workshop(Settings(allowed_http_hosts=frozenset({"127.0.0.1"})), database, Metrics())
    await Warmer(database, lambda: workshop).warm()
    await workshop.close()


@pytest.fixture
def to_business_central(org: Organisation, bc: Dynamics365Fake) -> None:
    """The organisation books in Business Central, too, and a run of it is near."""
    urls = {"base_url": bc.url, "token_url": bc.token_url, "company_id": bc.company.code}
    org.integration("dynamics365", urls, health_mode="passive")
    secret = json.dumps({"client_id": bc.client_id(SECRET), "client_secret": SECRET})
    org.database.sql("select bilag.set_integration_credential(%s, 'dynamics365', %s)", org.id, secret)
    scheduled(org, integration_type="dynamics365")


@pytest.mark.usefixtures("to_business_central")
async def test_the_access_token_of_a_run_is_there_before_it_and_no_data_was_asked_for(
    org: Organisation, bc: Dynamics365Fake, opened: Opened
) -> None:
    database = await opened(org.database.dsn)
    workshop = Workshop(Settings(allowed_http_hosts=frozenset({"127.0.0.1"})), database, Metrics())
    (near,) = await database.due_soon()
    await Warmer(database, lambda: workshop).warm()
    assert bc.calls["token"] == 1
    assert {request.method for request in bc.requests if bc.operation(request) != "token"} == {"HEAD"}
    await Warmer(database, lambda: workshop).warm()
    adapter = workshop.exports.load("dynamics365")
    call = call_of(near, adapter, workshop.client, workshop.credentials(database.worker_id))
    assert (await adapter.check(call)).status == "healthy"
    assert bc.calls["token"] == 1, "what calls then is warm"
    await workshop.close()


@pytest.mark.usefixtures("to_business_central")
async def test_a_refused_client_is_found_out_by_the_run_and_stops_nothing_before_it(
    org: Organisation, bc: Dynamics365Fake, opened: Opened
) -> None:
    secret = json.dumps({"client_id": bc.client_id(SECRET), "client_secret": "wrong"})
    org.database.sql("select bilag.set_integration_credential(%s, 'dynamics365', %s)", org.id, secret)
    database = await opened(org.database.dsn)
    workshop = Workshop(Settings(allowed_http_hosts=frozenset({"127.0.0.1"})), database, Metrics())
    await Warmer(database, lambda: workshop).warm()
    assert bc.calls["token"] == 1
    await workshop.close()


@pytest.mark.usefixtures("to_business_central")
async def test_a_worker_reads_a_credential_without_a_lease_only_while_a_run_is_near(
    bilag: Bilag, org: Organisation, opened: Opened
) -> None:
    database = await opened(org.database.dsn)
    stranger = await opened(org.database.dsn, greet=False)
    (near,) = await database.due_soon()
    lane = UUID(near["lane"])
    assert await database.read_credential(lane, database.worker_id)

    async def refuses(reader: Database = database, token: UUID | None = None) -> None:
        with pytest.raises(Refusal, match="no live lease") as refused:
            await reader.read_credential(lane, token or reader.worker_id)
        assert refused.value.sqlstate == "KB020"

    await refuses(stranger)
    await refuses(token=uuid4())
    for closes, opens in CLOSED_TO_WARMING:
        org.database.sql(closes)
        await refuses()
        org.database.sql(opens)
        assert await database.read_credential(lane, database.worker_id), opens
    org.database.sql("update bilag.export_schedules set run_at = '12:05'")
    await refuses()
    org.database.sql("update bilag.export_schedules set run_at = '12:01'")
    bilag.advance(seconds=60)
    await refuses()


async def test_a_worker_of_another_environment_is_told_of_no_run(
    bilag: Bilag, org: Organisation, opened: Opened
) -> None:
    scheduled(org)
    database = await opened(org.database.dsn)
    assert len(await database.due_soon()) == 1
    bilag.database.sql("update bilag.installation set environment = 'production'")
    with pytest.raises(Refusal, match="serves environment") as refused:
        await database.due_soon()
    assert refused.value.sqlstate == "KB011"


async def test_while_everything_is_paused_nothing_is_near(bilag: Bilag, org: Organisation, opened: Opened) -> None:
    scheduled(org)
    database = await opened(org.database.dsn)
    bilag.database.sql("select bilag.pause_everything('a test')")
    assert await database.due_soon() == []


async def test_of_each_system_the_first_fifty_are_near(bilag: Bilag, opened: Opened) -> None:
    bilag.database.sql(
        "with o as (insert into bilag.organizations (name) select 'Lag ' || n from generate_series(1, 60) as n"
        " returning id) insert into bilag.integration_config (org_id, integration_type, settings)"
        " select id, t, jsonb_build_object('settlement_account', '2910')"
        " || case t when 'file' then '{\"format\": \"csv\"}' else '{}' end::jsonb"
        " from o, unnest(array['xledger', 'file']) as t"
    )
    bilag.database.sql(
        "insert into bilag.export_schedules (org_id, integration_type, frequency, run_at)"
        " select org_id, integration_type, 'daily', '12:01' from bilag.integration_config"
    )
    near = await (await opened(bilag.database.dsn)).due_soon()
    assert Counter(one["integrationType"] for one in near) == {"xledger": 50, "file": 50}


async def test_only_what_is_due_before_the_next_tick_is_near(bilag: Bilag, org: Organisation, opened: Opened) -> None:
    other = bilag.organisation("Other")
    database = await opened(org.database.dsn)
    scheduled(org, run_at="12:02")
    assert await database.due_soon() == []
    bilag.advance(seconds=45)
    scheduled(other, run_at="12:02")
    near = await database.due_soon()
    assert len(near) == 2
    assert len({tuple(one["place"]) for one in near}) == 1, "both go to the same place"
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
