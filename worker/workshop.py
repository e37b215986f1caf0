"""What does the jobs, put together at the first one: adapters, the HTTP client, credentials, the log of attempts."""

from __future__ import annotations

import asyncio
from functools import partial
from uuid import UUID

from worker import adapters, telemetry
from worker.attempt_log import AttemptLog
from worker.credentials import CredentialProvider, environment_fallback
from worker.database import Database, Outage, Refusal
from worker.exports import Exports
from worker.health_checks import HealthChecks
from worker.http import Client
from worker.metrics import Metrics
from worker.settings import Settings


class Workshop:
    """The tools of one worker; :attr:`exports` and :attr:`health` do the jobs with them."""

    def __init__(self, settings: Settings, database: Database, metrics: Metrics) -> None:
        self._settings, self._database, self._metrics = settings, database, metrics
        self.attempts = AttemptLog(database.log_attempts, metrics)
        self.client = Client(
            timeout=settings.http_timeout_seconds, plain_hosts=settings.allowed_http_hosts, on_connect=self._cold
        )
        self.exports = Exports(
            adapters.load, self.client, self.credentials, self.attempts, settings.longest_write_seconds
        )
        self.health = HealthChecks(adapters.load, self.client, self.credentials, self.attempts)
        self._telling: set[asyncio.Task[None]] = set()
        self._flushing = asyncio.create_task(self.attempts.run())

    async def close(self) -> None:
        self._flushing.cancel()
        await asyncio.gather(self._flushing, *self._telling, return_exceptions=True)
        await self.attempts.farewell()
        await self.client.aclose()

    def credentials(self, lease_token: UUID) -> CredentialProvider:
        """The provider of one invocation, which may read what its own lease is for."""
        return CredentialProvider(
            partial(self._database.read_credential, lease_token=lease_token),
            fallback=environment_fallback(self._settings.credential_fallback),
            fell_back=self._fell_back,
        )

    def _cold(self, host: str) -> None:
        """A job had to open a connection first. What was warmed before it was opened outside of any job."""
        if telemetry.correlation_id():
            self._metrics.cold_starts.add()
            telemetry.info("connection.opened_cold", host=host)

    def _fell_back(self, integration_id: UUID) -> None:
        """Count it, and open the alert behind the job's back: when Vault fails the database may not listen either."""
        self._metrics.fallbacks.add()
        telling = asyncio.create_task(self._tell_of_fallback(integration_id))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)

    async def _tell_of_fallback(self, integration_id: UUID) -> None:
        try:
            await self._database.fell_back(integration_id)
        except (Outage, Refusal) as error:
            telemetry.warning("alert.unraised", kind="credential_fallback", message=str(error))
