"""The structured failure as the tables hold it: seven keys, each of its kind, whoever wrote it."""

from __future__ import annotations

from typing import Any, LiteralString

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.fix_bilag import Organisation

WHOLE = {
    "correlationId": "6f8e4f0a-4a51-4f3a-9a37-1d2a3c4b5e6f",
    "errorClass": "transient",
    "httpStatus": 503,
    "adapterName": "xledger",
    "attempt": 4,
    "message": "HTTP 503",
    "isRetryable": False,
}
STORED: dict[str, LiteralString] = {
    "a run": "update bilag.export_runs set error = %s",
    "a reconciliation": "update bilag.reconciliations set error = %s",
}


WRONG: list[dict[str, Any]] = [
    {"correlationId": None},
    {"correlationId": "abc"},
    {"errorClass": None},
    {"errorClass": "fatal"},
    {"httpStatus": 42},
    {"httpStatus": "503"},
    {"adapterName": None},
    {"adapterName": ""},
    {"attempt": 0},
    {"attempt": None},
    {"attempt": "4"},
    {"message": None},
    {"message": "x" * 501},
    {"isRetryable": None},
    {"isRetryable": "no"},
    {"errorClass": "permanent", "isRetryable": True},
    {"stack": "an eighth key"},
]
RIGHT: list[dict[str, Any]] = [
    {},
    {"httpStatus": None},
    {"errorClass": "timeout", "isRetryable": True},
    {"message": "å" * 500},
]


@pytest.fixture
def stored(org: Organisation, request: pytest.FixtureRequest) -> LiteralString:
    org.request()
    org.database.sql("select bilag.request_reconciliation(%s, 'xledger', '2026-01-01', '2026-03-01')", org.id)
    return STORED[request.param]


@pytest.mark.parametrize("stored", STORED, indirect=True)
def test_what_is_no_failure_is_not_stored_as_one(org: Organisation, stored: LiteralString) -> None:
    wrong: list[Any] = [{**WHOLE, **change} for change in WRONG]
    wrong += [{key: value for key, value in WHOLE.items() if key != missing} for missing in WHOLE]
    for error in [*wrong, None, [], "HTTP 503", 503, {}]:
        with pytest.raises(psycopg.errors.CheckViolation, match="error_has_the_seven_keys"):
            org.database.sql(stored, Jsonb(error))


@pytest.mark.parametrize("stored", STORED, indirect=True)
def test_a_failure_is_stored(org: Organisation, stored: LiteralString) -> None:
    for change in RIGHT:
        org.database.sql(stored, Jsonb({**WHOLE, **change}))
