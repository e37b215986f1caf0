"""Xledger's own ways to fail: rate limits, codes, credentials, and times without a zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dev.fakes import XledgerFake
from tests.adapters.vendor import Vendor, batch
from worker import errors
from worker.adapters._xledger_graphql import seconds_until
from worker.adapters._xledger_lookup import since
from worker.contract import Health
from worker.errors import AdapterError, ErrorClass, Executed

pytestmark = pytest.mark.anyio
BURST, CONCURRENCY, CREDITS = (
    "BAD_REQUEST.BURST_RATE_LIMIT_REACHED",
    "BAD_REQUEST.CONCURRENCY_LIMIT_REACHED",
    "BAD_REQUEST.INSUFFICIENT_CREDITS",
)


async def failed(xledger: Vendor, **call: Any) -> AdapterError:
    with pytest.raises(AdapterError) as raised:
        await xledger.adapter.post(batch(xledger.voucher()), xledger.call(**call))
    return raised.value


@pytest.mark.parametrize("status", [200, 400, 429])
@pytest.mark.parametrize(("code", "wait"), [(BURST, 5), (CONCURRENCY, 1), (CREDITS, 1200)])
async def test_a_rate_limit_was_not_executed_and_has_its_own_wait(
    xledger: Vendor, erp: XledgerFake, code: str, wait: float, status: int
) -> None:
    erp.answer_200_with_errors(code, "Rate limited", status=status, on=xledger.writes)
    error = await failed(xledger)
    assert isinstance(error, errors.RateLimited)
    assert (error.retry_after, error.executed, error.error_class) == (wait, Executed.NO, ErrorClass.TRANSIENT)
    assert (error.reason_code, error.http_status) == ("rate_limited", status)


async def test_a_rate_limit_that_comes_with_rows_proves_nothing(xledger: Vendor, erp: XledgerFake) -> None:
    body = {"errors": [{"code": BURST, "message": "no"}], "data": {"addGLImportItems": {"edges": []}}}
    erp.answer_next(200, body, on=xledger.writes)
    error = await failed(xledger)
    assert (type(error), error.executed) == (errors.Refused, Executed.UNKNOWN)


async def test_credits_say_when_they_return(xledger: Vendor, erp: XledgerFake) -> None:
    erp.set_limits(budget=0)
    error = await failed(xledger)
    assert isinstance(error, errors.RateLimited)
    assert 1190 < (error.retry_after or 0) <= 1201


@pytest.mark.parametrize("token", ["wrong-token", "  \n", "two words", "blåbær"])
async def test_a_token_that_xledger_refuses_is_a_refused_credential(xledger: Vendor, token: str) -> None:
    error = await failed(xledger, secret=token)
    assert isinstance(error, errors.Unauthorized)
    assert (error.reason_code, error.executed) == ("credential_refused", Executed.NO)


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    "message", ["Invalid API token.", "Bad format for API Token.", "The token has been revoked", "Expired token"]
)
async def test_a_token_that_is_refused_in_words_has_executed_nothing(
    xledger: Vendor, erp: XledgerFake, message: str, status: int
) -> None:
    """Otherwise its vouchers would be in doubt, and no look with the next credential could settle them."""
    erp.answer_200_with_errors(message=message, status=status, on=xledger.writes)
    error = await failed(xledger)
    assert (type(error), error.executed) == (errors.Unauthorized, Executed.NO)


async def test_white_space_around_a_token_does_not_matter(xledger: Vendor) -> None:
    assert (await xledger.adapter.check(xledger.call(secret=" test-token\n"))).status is Health.HEALTHY


async def test_a_token_without_the_right_to_write_is_a_refused_credential_and_is_looked_up(
    xledger: Vendor, erp: XledgerFake
) -> None:
    erp.issue_token("read-only-token", erp.owner, read_only=True)
    error = await failed(xledger, secret="read-only-token")
    assert (type(error), error.executed, error.answered) == (errors.Unauthorized, Executed.UNKNOWN, True)


@pytest.mark.parametrize(
    ("code", "message", "status", "kind"),
    [
        (None, "Your query timed out.", 200, errors.Timeout),
        ("UNHANDLED_ERROR", "Something went wrong", 200, errors.Unavailable),
        (None, "Something went wrong", 502, errors.Unavailable),
        (None, "Something went wrong", 500, errors.Unavailable),
    ],
)
async def test_a_failure_of_xledger_itself_is_transient_and_leaves_a_write_in_doubt(
    xledger: Vendor, erp: XledgerFake, code: str | None, message: str, status: int, kind: type[AdapterError]
) -> None:
    erp.answer_200_with_errors(code, message, status=status, on=xledger.writes)
    error = await failed(xledger)
    assert (type(error), error.executed, error.is_permanent) == (kind, Executed.UNKNOWN, False)
    assert message in error.message


@pytest.mark.parametrize("body", [[], "text", 7, {"data": [1]}, {"errors": "all wrong"}, {"errors": [None]}, {}])
async def test_json_that_is_no_graphql_answer_leaves_a_write_in_doubt(
    xledger: Vendor, erp: XledgerFake, body: Any
) -> None:
    erp.answer_next(200, body, on=xledger.writes)
    assert (await failed(xledger)).executed is Executed.UNKNOWN


@pytest.mark.parametrize("status", [200, 302, 400, 409, 418, 422, 500, 502, 504])
@pytest.mark.parametrize("body", ["<html>maintenance</html>", "", '{"status": "down"}'])
async def test_whoever_answers_without_graphql_is_not_xledger_and_proves_nothing(
    xledger: Vendor, erp: XledgerFake, status: int, body: str
) -> None:
    """Something before it, whose word neither blames a voucher nor says that Xledger is done with the request."""
    erp.fail_next(status, body=body or " ", on=xledger.writes)
    error = await failed(xledger)
    assert (error.executed, error.answered, error.is_permanent) == (Executed.UNKNOWN, False, False)


@pytest.mark.parametrize(
    ("status", "kind"), [(401, errors.Unauthorized), (403, errors.Unauthorized), (404, errors.Rejected)]
)
async def test_a_page_that_says_no_by_its_status_is_believed(
    xledger: Vendor, erp: XledgerFake, status: int, kind: type[AdapterError]
) -> None:
    erp.fail_next(status, on=xledger.writes)
    error = await failed(xledger)
    assert (type(error), error.executed) == (kind, Executed.NO)


async def test_json_without_errors_but_with_a_bad_status_is_what_the_status_says(
    xledger: Vendor, erp: XledgerFake
) -> None:
    erp.answer_next(504, {"data": None}, on=xledger.writes)
    assert isinstance(await failed(xledger), errors.Unavailable)


async def test_a_check_that_is_rate_limited_says_degraded(xledger: Vendor, erp: XledgerFake) -> None:
    erp.answer_200_with_errors(CREDITS, "Not enough credits")
    result = await xledger.adapter.check(xledger.call())
    assert (result.status, result.error) == (Health.DEGRADED, "Not enough credits")


async def test_an_error_of_a_read_is_permanent_unless_xledger_says_otherwise(xledger: Vendor, erp: XledgerFake) -> None:
    erp.answer_200_with_errors(message="Cannot query field `foo` on type `Query`", on="__typename")
    with pytest.raises(errors.Rejected) as raised:
        await xledger.adapter.check(xledger.call())
    assert raised.value.is_permanent


@pytest.mark.parametrize("body", [{"data": None}, {"data": {}}, {"data": {"version": 4}}])
async def test_a_check_that_is_not_answered_with_what_it_asked_for_fails(
    xledger: Vendor, erp: XledgerFake, body: Any
) -> None:
    erp.answer_next(200, body, on="__typename")
    with pytest.raises(errors.Malformed):
        await xledger.adapter.check(xledger.call())


WINTER, SUMMER = datetime(2026, 1, 15, 12, tzinfo=UTC), datetime(2026, 7, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "now", "seconds"),
    [
        ("2026-01-15T13:20:00", WINTER, 1200),
        ("2026-07-15T14:20:00", SUMMER, 1200),
        ("2026-07-15 14:20:00.000", SUMMER, 1200),
        ("2026-07-15T12:20:00Z", SUMMER, 1200),
        ("2026-07-15T14:20:00+02:00", SUMMER, 1200),
        (int(SUMMER.timestamp()) + 60, SUMMER, 60),
        (str(int(SUMMER.timestamp() + 60) * 1000), SUMMER, 60),
        (90, SUMMER, 90),
        ("2026-07-15T11:59:30Z", SUMMER, 1),
        ("2026-07-15T11:00:00Z", SUMMER, None),
        ("2036-07-15T11:00:00Z", SUMMER, 6 * 3600),
        ("tomorrow", SUMMER, None),
        (None, SUMMER, None),
        ({"at": 1}, SUMMER, None),
    ],
)
def test_reset_at_is_understood_in_every_likely_form(moment: Any, now: datetime, seconds: float | None) -> None:
    assert seconds_until(moment, now) == seconds


@pytest.mark.parametrize("minutes", range(-90, 150, 15))
def test_the_window_never_begins_after_a_row_of_its_sending_also_when_the_clocks_go_back(minutes: int) -> None:
    """A row is stored in local time; 01:00 UTC on this night is when 03:00 becomes 02:00."""
    sent_at = datetime(2026, 10, 25, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    for later in range(-15, 180, 5):
        stored = sent_at + timedelta(minutes=later)
        offset = timedelta(hours=2 if stored < datetime(2026, 10, 25, 1, tzinfo=UTC) else 1)
        assert since(sent_at) <= (stored + offset).strftime("%Y-%m-%dT%H:%M:%S")
