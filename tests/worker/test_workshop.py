"""The tools of a worker: what they tell the database behind a job's back."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.fix_bilag import Organisation
from tests.fix_hands import Opened
from worker.metrics import Metrics
from worker.settings import Settings
from worker.workshop import Workshop

pytestmark = pytest.mark.anyio


async def test_a_credential_from_the_environment_opens_an_alert_and_is_counted(
    org: Organisation, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    org.claim("C-1")
    org.request()
    database = await opened(org.database.dsn)
    (job,) = await database.claim(1, 60, 150)
    monkeypatch.setenv(f"INTEGRATION_{job['lane'].upper().replace('-', '_')}_API_KEY", "spare-secret-91")
    metrics = Metrics()
    workshop = Workshop(Settings(credential_fallback="env"), database, metrics)
    secret = await workshop.credentials(UUID(job["token"])).get(UUID(job["lane"]))
    await workshop.close()
    assert secret.get_secret_value() == "spare-secret-91"
    assert org.database.sql("select kind, org_id from bilag.open_alerts") == [("credential_fallback", org.id)]
    assert metrics.fallbacks.values == {(): 1}


async def test_a_database_that_does_not_listen_then_changes_nothing(
    org: Organisation, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    org.claim("C-1")
    org.request()
    database = await opened(org.database.dsn)
    (job,) = await database.claim(1, 60, 150)
    monkeypatch.setenv(f"INTEGRATION_{job['lane'].upper().replace('-', '_')}_API_KEY", "spare-secret-91")
    org.database.sql("revoke execute on function bilag_internal.fell_back(uuid) from bilag_worker")
    workshop = Workshop(Settings(credential_fallback="env"), database, Metrics())
    secret = await workshop.credentials(UUID(job["token"])).get(UUID(job["lane"]))
    await workshop.close()
    assert secret.get_secret_value() == "spare-secret-91"
