"""The credential provider: one round trip, one invocation, typed errors; with a stub, and with the real Vault."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from tests.fix_bilag import Organisation
from tests.fix_hands import Opened
from tests.sql.fake_worker import FakeWorker
from worker.credentials import (
    CredentialAccessError,
    CredentialExpiredError,
    CredentialNotFoundError,
    CredentialProvider,
    environment_fallback,
    fallback_variable,
)
from worker.database import Outage, Refusal
from worker.errors import ErrorClass
from worker.redaction import MASK, redact

pytestmark = pytest.mark.anyio

INTEGRATION = UUID("0b9f3c1e-4d5a-4c8e-9a53-0f6e2b7c8d90")
NOW = datetime(2026, 3, 2, 11, 0, tzinfo=UTC)


class Vault:
    """Answers with what it holds, or raises it; counts how often it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[UUID] = []

    async def __call__(self, integration_id: UUID) -> Any:
        self.asked.append(integration_id)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def provider(vault: Vault, **more: Any) -> CredentialProvider:
    return CredentialProvider(vault, wall_clock=lambda: NOW, **more)


def holding(secret: str | None, expires_at: datetime | None = None) -> Vault:
    return Vault({"secret": secret, "version": 1, "expiresAt": expires_at.isoformat() if expires_at else None})


async def test_the_secret_of_the_integration_is_returned_wrapped() -> None:
    found = await provider(holding("the-real-token")).get(INTEGRATION)
    assert isinstance(found, SecretStr)
    assert found.get_secret_value() == "the-real-token"
    assert "the-real-token" not in f"{found} {found!r}"


async def test_the_second_call_is_cached_and_asks_nobody() -> None:
    vault = holding("the-real-token")
    provided = provider(vault)
    assert await provided.get(INTEGRATION) == await provided.get(INTEGRATION)
    assert vault.asked == [INTEGRATION]


async def test_the_cache_ends_with_the_invocation() -> None:
    vault = holding("the-real-token")
    await provider(vault).get(INTEGRATION)
    vault.answer = {"secret": "a-rotated-token"}
    assert (await provider(vault).get(INTEGRATION)).get_secret_value() == "a-rotated-token"


async def test_each_integration_has_its_own() -> None:
    vault = holding("the-real-token")
    provided = provider(vault)
    await provided.get(INTEGRATION)
    await provided.get(uuid4())
    assert len(vault.asked) == 2


@pytest.mark.parametrize("answer", [None, {"secret": None}, {"secret": ""}])
async def test_null_means_not_found_and_names_the_integration(answer: Any) -> None:
    with pytest.raises(CredentialNotFoundError) as error:
        await provider(Vault(answer)).get(INTEGRATION)
    assert error.value.integration_id == INTEGRATION
    assert f"integration_{INTEGRATION}_api_key" in str(error.value)
    assert (error.value.error_class, error.value.http_status) == (ErrorClass.PERMANENT, 403)


@pytest.mark.parametrize("cause", [Outage("connection refused"), Refusal("permission denied", "42501")])
async def test_a_database_error_is_wrapped_and_not_suppressed(cause: Exception) -> None:
    with pytest.raises(CredentialAccessError) as error:
        await provider(Vault(cause)).get(INTEGRATION)
    assert error.value.__cause__ is cause
    assert (error.value.error_class, error.value.http_status) == (ErrorClass.TRANSIENT, 500)


async def test_a_failure_is_not_cached() -> None:
    vault = Vault(Outage("gone"))
    provided = provider(vault)
    with pytest.raises(CredentialAccessError):
        await provided.get(INTEGRATION)
    vault.answer = {"secret": "the-real-token"}
    assert (await provided.get(INTEGRATION)).get_secret_value() == "the-real-token"


async def test_an_expired_secret_is_told_as_such() -> None:
    with pytest.raises(CredentialExpiredError):
        await provider(holding("old-token", NOW)).get(INTEGRATION)
    valid = await provider(holding("new-token", NOW + timedelta(seconds=1))).get(INTEGRATION)
    assert valid.get_secret_value() == "new-token"


async def test_what_was_read_is_masked_from_then_on() -> None:
    await provider(holding("read-once-and-guarded")).get(INTEGRATION)
    assert redact("the answer said read-once-and-guarded") == f"the answer said {MASK}"


@pytest.mark.parametrize("vault", [Vault(Outage("gone")), holding(None)], ids=["unreachable", "missing"])
async def test_the_environment_is_used_in_an_emergency_and_told(vault: Vault) -> None:
    told: list[UUID] = []
    environment = {"INTEGRATION_0B9F3C1E_4D5A_4C8E_9A53_0F6E2B7C8D90_API_KEY": "emergency-token"}
    provided = provider(vault, fallback=environment, fell_back=told.append)
    assert (await provided.get(INTEGRATION)).get_secret_value() == "emergency-token"
    assert told == [INTEGRATION]


async def test_the_environment_is_not_looked_at_while_vault_has_the_secret_or_says_expired() -> None:
    environment = {fallback_variable(INTEGRATION): "emergency-token"}
    assert (
        await provider(holding("real-token"), fallback=environment).get(INTEGRATION)
    ).get_secret_value() == "real-token"
    with pytest.raises(CredentialExpiredError):
        await provider(holding("old-token", NOW), fallback=environment).get(INTEGRATION)


async def test_without_a_variable_the_original_error_stands() -> None:
    with pytest.raises(CredentialNotFoundError):
        await provider(holding(None), fallback={}).get(INTEGRATION)


def test_the_environment_is_closed_unless_it_is_opened() -> None:
    assert environment_fallback("none") is None
    assert environment_fallback("env") is not None


async def claimed(org: Organisation, worker: FakeWorker) -> tuple[UUID, UUID]:
    """A live lease on the organisation's lane: the integration and the token."""
    org.claim("C-1")
    org.request()
    job = worker.claim_one()
    return UUID(job["lane"]), UUID(job["token"])


async def test_the_real_vault_gives_it_for_a_live_lease_only(
    org: Organisation, worker: FakeWorker, opened: Opened
) -> None:
    org.database.sql("select bilag.set_integration_credential(%s, 'xledger', 'vaulted-token')", org.id)
    hands = await opened(org.database.dsn)
    integration, token = await claimed(org, worker)
    read = partial(hands.read_credential, lease_token=token)
    assert (await CredentialProvider(read).get(integration)).get_secret_value() == "vaulted-token"
    with pytest.raises(CredentialAccessError, match="no live lease"):
        await CredentialProvider(partial(hands.read_credential, lease_token=uuid4())).get(integration)


async def test_the_real_vault_says_when_there_is_none_and_when_it_has_expired(
    org: Organisation, worker: FakeWorker, opened: Opened
) -> None:
    hands = await opened(org.database.dsn)
    integration, token = await claimed(org, worker)
    read = partial(hands.read_credential, lease_token=token)
    with pytest.raises(CredentialNotFoundError):
        await CredentialProvider(read).get(integration)
    org.database.sql("select bilag.set_integration_credential(%s, 'xledger', 'old', '2020-01-01')", org.id)
    with pytest.raises(CredentialExpiredError):
        await CredentialProvider(read).get(integration)
