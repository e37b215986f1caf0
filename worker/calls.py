"""What an adapter gets for one invocation: typed settings, HTTP with the correlation id, a way to the credential."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from worker.contract import Adapter, Call
from worker.errors import Executed, Misconfigured
from worker.settings_schema import DISCRIMINATOR

if TYPE_CHECKING:
    from worker.credentials import CredentialProvider
    from worker.http import Client
    from worker.settings_schema import AdapterSettings


def call_of(job: Mapping[str, Any], adapter: Adapter, client: Client, provider: CredentialProvider) -> Call:
    """The call of a job. Raises Misconfigured when the settings do not fit the adapter."""
    integration, correlation = UUID(job["lane"]), UUID(job["correlationId"])
    return Call(
        org_id=UUID(job["orgId"]),
        integration_type=job["integrationType"],
        settings=_settings(adapter, job),
        http=client.bind(correlation, adapter.capabilities.hosts, job["allowedHosts"]),
        credential=lambda: provider.get(integration),
        correlation_id=correlation,
    )


def _settings(adapter: Adapter, job: Mapping[str, Any]) -> AdapterSettings:
    from pydantic import ValidationError

    try:
        return adapter.settings_model.model_validate({**job["settings"], DISCRIMINATOR: job["integrationType"]})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise Misconfigured(f"The setting {name} is wrong: {first['msg']}.", executed=Executed.NO) from None
