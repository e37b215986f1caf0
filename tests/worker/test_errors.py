"""The taxonomy, the table that decides from it, and the payload that callers read."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from worker import errors, faults
from worker.errors import AdapterError, BilagError, ErrorClass, Executed
from worker.failure import FailurePayload
from worker.faults import ROWS, Fault, Row, Rows, Treatment, failure

CORRELATION = UUID("6f8e4f0a-4a51-4f3a-9a37-1d2a3c4b5e6f")


def family(root: type[BaseException]) -> set[type[BaseException]]:
    return {
        root,
        *(one for child in root.__subclasses__() for one in family(child) if one.__module__ == root.__module__),
    }


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"^    [│├└─ ]*([A-Z]\w+)", errors.__doc__ or "", re.MULTILINE)
    assert sorted(drawn) == sorted(one.__name__ for one in family(BilagError))


def test_a_message_is_redacted_scrubbed_and_cut_as_the_error_is_made() -> None:
    error = AdapterError("Authorization: token s3cr3t-s3cr3t \x00\ud800" + "x" * 600)
    assert "s3cr3t" not in str(error)
    assert not {"\x00", "\ud800"} & set(error.message)
    assert len(error.message) == 500


@pytest.mark.parametrize(
    ("error", "error_class", "status", "reason"),
    [
        (errors.CredentialNotFoundError(CORRELATION), "permanent", 403, "credential_missing"),
        (errors.CredentialExpiredError("expired"), "permanent", 403, "credential_expired"),
        (errors.CredentialAccessError("no vault"), "transient", 500, "credential_unreadable"),
        (failure(401, "no", writes=True), "permanent", 401, "credential_refused"),
        (failure(429, "wait", writes=True, retry_after=3.0), "transient", 429, "rate_limited"),
    ],
)
def test_what_pauses_or_waits_names_its_reason(error: BilagError, error_class: str, status: int, reason: str) -> None:
    assert (error.error_class, error.http_status, error.reason_code) == (error_class, status, reason)
    assert error.executed is Executed.NO


def test_a_missing_credential_names_its_secret() -> None:
    error = errors.CredentialNotFoundError(CORRELATION)
    assert error.integration_id == CORRELATION
    assert f"integration_{CORRELATION}_api_key" in error.message


def test_an_access_error_keeps_its_cause() -> None:
    cause = ConnectionError("vault is down")
    with pytest.raises(errors.CredentialAccessError) as raised:
        raise errors.CredentialAccessError("could not be read") from cause
    assert raised.value.__cause__ is cause


TABLE: list[tuple[int | Fault, str, str, str]] = [
    # fault, class of a read, class of a write, was a write executed
    (Fault.DNS, "transient", "transient", "no"),
    (Fault.CONNECT, "transient", "transient", "no"),
    (Fault.CONNECT_TIMEOUT, "timeout", "timeout", "no"),
    (Fault.NETWORK, "transient", "transient", "unknown"),
    (Fault.TIMEOUT, "timeout", "timeout", "unknown"),
    (Fault.NOT_JSON, "transient", "transient", "unknown"),
    (Fault.TOO_LARGE, "permanent", "transient", "unknown"),
    (Fault.BUSINESS, "permanent", "permanent", "unknown"),
    (Fault.UNAVAILABLE_UNTIL, "transient", "transient", "no"),
    (302, "permanent", "permanent", "unknown"),
    (400, "permanent", "permanent", "unknown"),
    (401, "permanent", "permanent", "no"),
    (403, "permanent", "permanent", "no"),
    (404, "permanent", "permanent", "no"),
    (405, "permanent", "permanent", "no"),
    (408, "timeout", "timeout", "unknown"),
    (409, "permanent", "permanent", "unknown"),
    (413, "permanent", "permanent", "no"),
    (415, "permanent", "permanent", "no"),
    (418, "permanent", "permanent", "unknown"),
    (422, "permanent", "permanent", "unknown"),
    (429, "transient", "transient", "no"),
    (500, "transient", "transient", "unknown"),
    (502, "transient", "transient", "unknown"),
    (503, "transient", "transient", "unknown"),
    (504, "transient", "transient", "unknown"),
    (599, "transient", "transient", "unknown"),
]


@pytest.mark.parametrize(("key", "read", "write", "executed"), TABLE, ids=str)
def test_the_table_says_what_a_fault_means_for_a_read_and_for_a_write(
    key: int | Fault, read: str, write: str, executed: str
) -> None:
    as_read, as_write = failure(key, "", writes=False), failure(key, "", writes=True)
    assert (as_read.error_class, as_read.executed) == (read, "no")
    assert (as_write.error_class, as_write.executed) == (write, executed)


def test_every_row_of_the_table_is_tested_here() -> None:
    other = {Fault.OTHER_1XX_TO_3XX: 302, Fault.OTHER_4XX: 418, Fault.OTHER_5XX: 599}
    named = {other.get(key, key) if isinstance(key, Fault) else key for key in ROWS}
    assert named == {row[0] for row in TABLE}


def test_only_what_the_system_itself_said_counts_as_its_answer_for_then_absence_is_believed_at_once() -> None:
    answers = {400, 401, 403, 404, 405, 409, 413, 415, 418, 422, 429, 500, Fault.BUSINESS}
    assert {row[0] for row in TABLE if failure(row[0], "", writes=True).answered} == answers


def test_an_adapter_may_know_better_than_the_table() -> None:
    own: Rows = {409: Row(errors.Unavailable, ErrorClass.TRANSIENT, Treatment(ErrorClass.TRANSIENT, Executed.NO))}
    assert failure(409, "", writes=True, rows=own).executed is Executed.NO
    assert type(failure(422, "", writes=True, rows=own)) is errors.Refused


def test_a_503_counts_as_not_executed_only_when_it_says_when_to_come_back() -> None:
    assert (faults.key_of(503, 5.0), faults.key_of(503, None)) == (Fault.UNAVAILABLE_UNTIL, 503)


def payload(**changes: Any) -> dict[str, Any]:
    whole = {
        "correlationId": str(CORRELATION),
        "errorClass": "transient",
        "httpStatus": None,
        "adapterName": "xledger",
        "attempt": 1,
        "message": "no",
        "isRetryable": True,
    }
    return {**whole, **changes}


def test_a_failure_has_exactly_the_seven_keys() -> None:
    error = failure(503, "HTTP 503", writes=False)
    made = FailurePayload.of(error, correlation_id=CORRELATION, adapter_name="xledger", attempt=4).as_json()
    assert made == payload(httpStatus=503, attempt=4, message="HTTP 503", isRetryable=False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"errorClass": "fatal"},
        {"attempt": 0},
        {"message": "x" * 501},
        {"httpStatus": 42},
        {"stack": "…"},
        {"adapterName": ""},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_anything_else_is_not_a_failure(wrong: dict[str, Any]) -> None:
    FailurePayload.model_validate(payload())
    with pytest.raises(ValidationError):
        FailurePayload.model_validate(payload(**wrong))


def test_a_permanent_failure_is_never_retryable() -> None:
    error = failure(404, "HTTP 404", writes=False)
    made = FailurePayload.of(error, correlation_id=uuid4(), adapter_name="x", attempt=1, is_retryable=True)
    assert made.is_retryable is False


def test_an_exception_that_nobody_planned_for_is_described_and_leaves_a_write_in_doubt() -> None:
    described = errors.describe(KeyError("edges"))
    assert isinstance(described, errors.UnexpectedError)
    assert (described.message, described.executed) == ("KeyError: 'edges'", Executed.UNKNOWN)
    assert errors.describe(described) is described
