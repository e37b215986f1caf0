"""A round of health checks over scripted adapters, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from tests.worker.stub_adapter import StubAdapter
from worker.attempt_log import AttemptLog
from worker.contract import Call, Health, HealthResult
from worker.credentials import CredentialProvider
from worker.health_checks import HealthChecks
from worker.http import Client
from worker.metrics import Metrics

SECRET = "sesame-open-1234"
Check = Callable[[Call], Awaitable[HealthResult]]


def well(latency_ms: int = 20) -> HealthResult:
    return HealthResult(Health.HEALTHY, latency_ms, datetime.now(UTC))


async def answer(_call: Call) -> HealthResult:
    return well()


async def hang(_call: Call) -> HealthResult:
    await asyncio.sleep(3600)
    raise AssertionError


class Scripted(StubAdapter):
    def __init__(self, check: Check) -> None:
        super().__init__()
        self._check = check

    async def check(self, call: Call) -> HealthResult:
        return await self._check(call)


class Bench:
    """Connections of one organisation, named by how they behave."""

    def __init__(self, **checks: Check) -> None:
        self.checks = checks
        self.rows: list[Mapping[str, Any]] = []
        self.attempts = AttemptLog(self._keep, Metrics())
        self.asked: list[Any] = []
        self.errand = {
            "lane": str(uuid4()),
            "token": str(uuid4()),
            "leaseSeconds": 60,
            "checks": [self._check(name) for name in checks],
        }
        self.errand["orgId"] = self.errand["lane"]

    def _check(self, name: str) -> dict[str, Any]:
        return {
            "lane": str(uuid4()),
            "orgId": str(uuid4()),
            "integrationType": name,
            "settings": {"settlement_account": "2910", "slow_after_ms": 3000},
            "allowedHosts": [],
            "token": str(uuid4()),
            "correlationId": str(uuid4()),
        }

    async def _keep(self, rows: Any) -> None:
        self.rows += rows

    def _load(self, name: str) -> Any:
        adapter = Scripted(self.checks[name])
        adapter.settings_model = _anybody(name)  # type: ignore[misc]
        return adapter

    def _credentials(self, token: Any) -> CredentialProvider:
        self.asked.append(token)

        async def read(_integration: Any) -> dict[str, Any]:
            return {"secret": SECRET, "version": 1, "expiresAt": None}

        return CredentialProvider(read)

    @property
    def health(self) -> HealthChecks:
        return HealthChecks(self._load, Client(), self._credentials, self.attempts)

    async def round(self) -> dict[str, dict[str, Any]]:
        report = await self.health.run_health_checks(self.errand)
        assert (report["lane"], report["token"]) == (self.errand["lane"], self.errand["token"])
        await self.attempts.flush()
        return {check["integrationType"]: check for check in report["checks"]}


def _anybody(name: str) -> Any:
    from typing import Literal

    from pydantic import create_model

    from worker.settings_schema import AdapterSettings

    kind: Any = Literal[name]
    return create_model(f"Settings{name}", __base__=AdapterSettings, integration_type=(kind, name))
