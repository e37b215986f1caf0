"""What ``bilag doctor`` looks at where secrets are kept and sent: Vault, each integration's credential, each URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker import adapters
from worker.cli.connections import connected
from worker.cli.told import Told
from worker.destinations import Destinations
from worker.errors import Misconfigured
from worker.settings import Settings

_VAULT = "select bilag_internal.vault_answers()"

_WITHOUT_CREDENTIAL = """
    select o.name || ' ' || c.integration_type
    from bilag.integration_config c
    join bilag.integration_types t on t.integration_type = c.integration_type
    join bilag.organizations o on o.id = c.org_id
    where c.enabled and t.needs_credential
      and (not bilag_internal.has_credential(c.id) or c.credential_expires_at <= now())
    order by 1"""

_PLACES = """
    select o.name || ' ' || c.integration_type, c.integration_type, t.allowed_hosts, c.settings
    from bilag.integration_config c
    join bilag.integration_types t on t.integration_type = c.integration_type
    join bilag.organizations o on o.id = c.org_id
    where c.enabled
    order by 1"""


def vault(settings: Settings) -> str:
    with connected(settings.owner_url) as connection:
        connection.execute(_VAULT)
    return "answers"


def credentials(settings: Settings) -> str:
    with connected(settings.owner_url) as connection:
        missing = [name for (name,) in connection.execute(_WITHOUT_CREDENTIAL).fetchall()]
    if missing:
        raise Told(f"No valid credential for: {', '.join(missing)}.")
    if settings.credential_fallback != "none":
        raise Told("BILAG_CREDENTIAL_FALLBACK is on: credentials may come from the environment.")
    return "every enabled integration has one"


def hosts(settings: Settings) -> str:
    """Whether a worker with these settings would call what the integrations name."""
    with connected(settings.owner_url) as connection:
        rows = connection.execute(_PLACES).fetchall()
    plain = {host.lower() for host in settings.allowed_http_hosts}
    for name, key, allowed, given in rows:
        where = Destinations(adapters.load(key).capabilities.hosts, allowed, plain)
        for url in _urls(key, given):
            try:
                where.permit(url)
            except Misconfigured as refusal:
                raise Told(f"{name} would not be called: {refusal.message}.") from None
    return "every URL names a host that may be called"


def _urls(key: str, given: Mapping[str, Any]) -> list[str]:
    effective = adapters.read_settings(key, given).model_dump()
    return [value for name, value in effective.items() if name.endswith("_url") and isinstance(value, str)]
