"""The one place that reads a credential: from Vault, by the name ``integration_{integration_id}_api_key``.

A provider lives as long as one invocation, and so does what it has read. Its errors are typed and are not suppressed
here: what the adapter could not get, the job reports. A secret is guarded (masked wherever it might turn up) from the
moment it arrives.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from worker import telemetry
from worker.database import Outage, Refusal
from worker.errors import CredentialAccessError, CredentialExpiredError, CredentialNotFoundError
from worker.redaction import guard

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["CredentialAccessError", "CredentialExpiredError", "CredentialNotFoundError", "CredentialProvider"]

Read = Callable[[UUID], Awaitable[Mapping[str, Any] | None]]


class CredentialProvider:
    """The credentials of one invocation. ``read`` asks Vault, in one round trip, for a live lease only.

    ``fallback`` is an environment to look in when Vault fails or has nothing: for emergencies, and loud. ``fell_back``
    is told of each use.
    """

    def __init__(
        self,
        read: Read,
        *,
        fallback: Mapping[str, str] | None = None,
        fell_back: Callable[[UUID], None] = lambda _integration_id: None,
        wall_clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._read = read
        self._fallback = fallback
        self._fell_back = fell_back
        self._wall_clock = wall_clock
        self._known: dict[UUID, SecretStr] = {}

    async def get(self, integration_id: UUID) -> SecretStr:
        """The credential of this integration.

        Raises CredentialNotFoundError when there is none, CredentialExpiredError when its date has passed, and
        CredentialAccessError, from its cause, when it could not be read.
        """
        if integration_id not in self._known:
            self._known[integration_id] = await self._fetch(integration_id)
        return self._known[integration_id]

    async def _fetch(self, integration_id: UUID) -> SecretStr:
        try:
            return await self._from_vault(integration_id)
        except (CredentialNotFoundError, CredentialAccessError) as error:
            spare = self._from_environment(integration_id)
            if spare is None:
                raise
            telemetry.error("credential.fallback_used", integration_id=str(integration_id), message=str(error))
            self._fell_back(integration_id)
            return spare

    async def _from_vault(self, integration_id: UUID) -> SecretStr:
        try:
            found = await self._read(integration_id)
        except (Outage, Refusal) as cause:
            raise CredentialAccessError(f"The credential could not be read: {cause}") from cause
        if not found or not found.get("secret"):
            raise CredentialNotFoundError(integration_id)
        expires_at = found.get("expiresAt")
        if expires_at and datetime.fromisoformat(expires_at) <= self._wall_clock():
            raise CredentialExpiredError(f"The credential expired at {expires_at}.")
        return _kept_secret(found["secret"])

    def _from_environment(self, integration_id: UUID) -> SecretStr | None:
        if self._fallback is None:
            return None
        value = self._fallback.get(fallback_variable(integration_id))
        return _kept_secret(value) if value else None


def fallback_variable(integration_id: UUID) -> str:
    """INTEGRATION_<ID>_API_KEY, the id in capitals with underscores, as a shell can set it."""
    return f"INTEGRATION_{str(integration_id).upper().replace('-', '_')}_API_KEY"


def environment_fallback(setting: str) -> Mapping[str, str] | None:
    """What BILAG_CREDENTIAL_FALLBACK opens: the environment for ``env``, nothing otherwise."""
    return os.environ if setting == "env" else None


def _kept_secret(text: str) -> SecretStr:
    from pydantic import SecretStr  # lazily, for the cold start

    guard(text)
    return SecretStr(text)
