"""What an adapter is handed for one invocation, beside the vouchers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:  # heavy imports stay out of the worker's start
    from pydantic import SecretStr

    from worker.http import Http
    from worker.settings_schema import AdapterSettings


@dataclass(frozen=True, slots=True)
class Call:
    """All that an adapter gets for one invocation. It holds no secret; ``credential`` fetches it."""

    org_id: UUID
    integration_type: str
    settings: AdapterSettings
    http: Http
    credential: Callable[[], Awaitable[SecretStr]]
    correlation_id: UUID
