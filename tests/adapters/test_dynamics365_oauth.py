"""Tokens: one for many calls, replaced early, dropped with the credential, renewed once on a 401."""

from __future__ import annotations

import json
from typing import cast
from uuid import UUID

import pytest

from dev.fakes import Dynamics365Fake
from tests.adapters.vendor import Vendor, batch
from worker.adapters import _dynamics365_oauth as oauth
from worker.contract import Call
from worker.errors import AdapterError, ErrorClass, Executed, Unauthorized

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the tokens, which begin anew."""
    made = Clock()
    monkeypatch.setattr(oauth.TOKENS, "clock", made)
    monkeypatch.setattr(oauth.TOKENS, "_kept", {})
    return made


def asked(vendor: Vendor) -> int:
    return vendor.fake.calls["token"]


def same_integration(vendor: Vendor, secret: str | None = None) -> Call:
    """Another invocation of the integration whose first one is kept on the vendor."""
    call = vendor.call(secret=secret)
    return Call(**{**{name: getattr(call, name) for name in Call.__slots__}, "org_id": ORG})


ORG = UUID(int=7)


async def test_one_token_serves_many_invocations_until_it_runs_out(dynamics365: Vendor, clock: Clock) -> None:
    for _ in range(3):
        await dynamics365.adapter.check(same_integration(dynamics365))
    assert asked(dynamics365) == 1
    clock.seconds = 3599 - oauth.EARLY_SECONDS - 1
    await dynamics365.adapter.check(same_integration(dynamics365))
    assert asked(dynamics365) == 1
    clock.seconds += 2
    await dynamics365.adapter.check(same_integration(dynamics365))
    assert asked(dynamics365) == 2


async def test_the_old_token_is_good_for_a_while_when_no_new_one_is_to_be_had(
    dynamics365: Vendor, clock: Clock
) -> None:
    await dynamics365.adapter.check(same_integration(dynamics365))
    clock.seconds = 3599 - 60
    dynamics365.fake.fail_next(503, on="token")
    await dynamics365.adapter.check(same_integration(dynamics365))
    clock.seconds = 3600
    dynamics365.fake.fail_next(503, on="token")
    with pytest.raises(AdapterError) as down:
        await dynamics365.adapter.check(same_integration(dynamics365))
    assert (down.value.executed, down.value.is_permanent) == (Executed.NO, False)


async def test_a_changed_credential_drops_the_token(dynamics365: Vendor, clock: Clock) -> None:
    fake = cast("Dynamics365Fake", dynamics365.fake)
    await dynamics365.adapter.check(same_integration(dynamics365))
    fake.entra.register("another-secret").companies[fake.company.id] = fake.company
    other = json.dumps({"client_id": fake.client_id("another-secret"), "client_secret": "another-secret"})
    await dynamics365.adapter.check(same_integration(dynamics365, secret=other))
    assert asked(dynamics365) == 2
    assert "another-secret" not in repr(oauth.TOKENS.__dict__)
    await dynamics365.adapter.check(same_integration(dynamics365))
    assert asked(dynamics365) == 3


async def test_a_token_that_was_revoked_is_renewed_once_and_nothing_is_lost(dynamics365: Vendor, clock: Clock) -> None:
    fake = cast("Dynamics365Fake", dynamics365.fake)
    await dynamics365.adapter.check(same_integration(dynamics365))
    fake.revoke_tokens()
    vouchers = [dynamics365.voucher(*["1.00"] * 60) for _ in range(5)]
    await dynamics365.adapter.post(batch(*vouchers), same_integration(dynamics365))
    assert asked(dynamics365) == 2
    assert len(fake.ledger.vouchers()) == 5


async def test_five_lines_refused_at_once_ask_for_one_token(dynamics365: Vendor, clock: Clock) -> None:
    dynamics365.fake.fail_next(401, 5, on="$batch")
    vouchers = [dynamics365.voucher(*["1.00"] * 60) for _ in range(5)]
    await dynamics365.adapter.post(batch(*vouchers), same_integration(dynamics365))
    assert asked(dynamics365) == 2
    assert dynamics365.fake.ledger.doubled() == {}


async def test_a_credential_that_is_refused_twice_is_refused(dynamics365: Vendor, clock: Clock) -> None:
    dynamics365.fake.fail_next(401, 2, on="GET companies")
    with pytest.raises(Unauthorized):
        await dynamics365.adapter.check(same_integration(dynamics365))


async def test_a_wrong_secret_says_so_without_the_traces_of_entra(dynamics365: Vendor, clock: Clock) -> None:
    wrong = json.dumps({"client_id": "f0000000-0000-0000-0000-000000000001", "client_secret": "wrong-secret"})
    with pytest.raises(Unauthorized) as refused:
        await dynamics365.adapter.check(same_integration(dynamics365, secret=wrong))
    error = refused.value
    assert (error.error_class, error.executed, error.reason_code) == (
        ErrorClass.PERMANENT, Executed.NO, "credential_refused",
    )  # fmt: skip
    assert error.message.startswith("Entra gave no access token. AADSTS")
    assert "Trace ID" not in error.message
    assert "wrong-secret" not in error.message


@pytest.mark.parametrize("text", ["a token", "{}", '{"client_id": "x"}', '{"client_id": 1, "client_secret": 2}', "[]"])
async def test_a_credential_of_another_form_is_refused_before_anything_leaves_us(
    dynamics365: Vendor, clock: Clock, text: str
) -> None:
    with pytest.raises(Unauthorized, match="client_secret"):
        await dynamics365.adapter.check(same_integration(dynamics365, secret=text))
    assert len(dynamics365.fake.requests) == 0


async def test_the_token_endpoint_must_be_a_host_that_is_allowed(dynamics365: Vendor, clock: Clock) -> None:
    call = dynamics365.call(token_url="http://elsewhere.example/token")
    with pytest.raises(AdapterError, match="plain http to elsewhere"):
        await dynamics365.adapter.check(call)


async def test_a_token_never_shows_in_the_process(dynamics365: Vendor, clock: Clock) -> None:
    await dynamics365.adapter.check(same_integration(dynamics365))
    (token,) = oauth.TOKENS.__dict__["_kept"].values()
    from worker.redaction import redact

    assert token.text not in redact(f"it was {token.text}")
