"""What surrounds an export's calls: lease, delivery, attempt rows, credential, settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from tests.virtual_time import VIRTUAL_TIME, clock
from tests.worker.export_desk import Desk, write
from tests.worker.stub_adapter import booked
from worker.contract import Batch, Call, Outcome
from worker.credentials import CredentialProvider
from worker.database import Outage
from worker.faults import Fault

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> Any:
    return VIRTUAL_TIME


@pytest.fixture
def desk() -> Desk:
    return Desk()


UNTIL = write(Fault.UNAVAILABLE_UNTIL, http_status=503, retry_after=1)


async def test_without_room_in_the_lease_nothing_is_sent_and_nothing_failed(desk: Desk) -> None:
    desk.lease_left = 11
    assert await desk.do() == ["unsent", "unsent"]
    assert desk.adapter.asked == []
    assert (desk.failure, desk.report["release"], desk.rows) == (None, True, [])


async def test_a_retry_is_not_begun_when_the_lease_has_no_room_for_it_any_more(desk: Desk) -> None:
    desk.lease_left = 14
    desk.meets(write(429, retry_after=5), write(429))
    assert await desk.do() == ["unsent", "unsent"]
    assert desk.adapter.asked == ["post"]


async def test_each_attempt_is_a_row_and_the_success_counts_them(desk: Desk) -> None:
    desk.meets(write(429), UNTIL)
    await desk.do()
    assert [(r["operation"], r["attempt_number"], r["total_attempts"], r["http_status"]) for r in desk.rows] == [
        ("post", 1, None, 429),
        ("post", 2, None, 503),
        ("post", 3, 3, None),
    ]
    assert {row["correlation_id"] for row in desk.rows} == {desk.tally.job["correlationId"]}


async def test_a_bug_in_an_adapter_is_not_swallowed_and_leaves_the_write_in_doubt(desk: Desk) -> None:
    desk.meets(ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        await desk.do()
    assert desk.outcomes == ["unknown", "unknown"]
    assert desk.rows[0]["error_message"] == "ZeroDivisionError: a bug"


def asks_for_the_credential(times: int = 1) -> Callable[[Batch, Call], Any]:
    async def post(batch: Batch, call: Call) -> list[Outcome]:
        for _ in range(times):
            assert (await call.credential()).get_secret_value() == "the-token"
        return booked(batch, call)

    return post


async def test_the_adapter_fetches_the_credential_itself_and_it_is_read_once_per_invocation(desk: Desk) -> None:
    desk.meets(asks_for_the_credential(3))
    assert await desk.do() == ["exported", "exported"]
    assert desk.reads == [UUID(desk.tally.job["lane"])]


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ({"secret": None}, "credential_missing"),
        ({"secret": "x", "expiresAt": "2020-01-01T00:00:00+00:00"}, "credential_expired"),
    ],
)
async def test_a_missing_or_expired_credential_is_a_permanent_403_and_nothing_was_sent(
    secret: dict[str, Any], reason: str
) -> None:
    desk = Desk(secret)
    desk.meets(asks_for_the_credential())
    assert await desk.do() == ["unsent", "unsent"]
    assert desk.failure is not None
    assert desk.failure["reasonCode"] == reason
    assert (desk.failure["error"]["errorClass"], desk.failure["error"]["httpStatus"]) == ("permanent", 403)


async def test_a_credential_that_cannot_be_read_is_a_transient_500_after_the_last_retry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk()

    async def fails(_integration_id: UUID) -> Any:
        raise Outage("vault is away")

    monkeypatch.setattr(desk, "_provider", lambda _token: CredentialProvider(fails))
    desk.meets(*(asks_for_the_credential() for _ in range(4)))
    assert await desk.do() == ["unsent", "unsent"]
    assert desk.failure is not None
    assert desk.failure["reasonCode"] == "credential_unreadable"
    error = desk.failure["error"]
    assert (error["errorClass"], error["httpStatus"], error["attempt"]) == ("transient", 500, 4)
    assert error["isRetryable"] is False
    assert [row["error_class"] for row in desk.rows] == ["transient"] * 4


async def test_settings_that_do_not_fit_the_adapter_name_the_field_and_send_nothing(desk: Desk) -> None:
    assert await desk.do(settings={"settlement_account": "2910", "currency": "kroner"}) == ["unsent", "unsent"]
    assert desk.failure is not None
    assert desk.failure["error"]["message"].startswith("The setting currency is wrong")
    assert desk.adapter.asked == []


async def test_an_integration_type_without_an_adapter_is_a_permanent_failure(desk: Desk) -> None:
    assert await desk.do(integrationType="abacus") == ["unsent", "unsent"]
    assert desk.failure is not None
    assert "There is no adapter 'abacus'" in desk.failure["error"]["message"]


async def test_the_whole_invocation_stays_within_the_delivery(desk: Desk) -> None:
    desk.delivery_left = 20
    desk.meets(*[write(429, retry_after=9)] * 4)
    began = clock()
    assert await desk.do() == ["unsent", "unsent"]
    assert clock() - began < 20
