"""What the worker says: structured, named, with its correlation id, and without any secret."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from pydantic import SecretStr

from worker import telemetry
from worker.redaction import guard


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """Everything that is said at debug level, as JSON lines."""
    stream = io.StringIO()
    before = logging.getLogger().handlers[:], logging.getLogger().level
    telemetry.configure("debug", "json", stream)
    yield stream
    telemetry.configure()
    logging.getLogger().handlers[:], logging.getLogger().level = before


def events(said: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_its_name_level_time_and_fields(said: io.StringIO) -> None:
    telemetry.info("job.finished", items=3)
    (event,) = events(said)
    assert (event["event"], event["level"], event["items"]) == ("job.finished", "info", 3)
    assert event["timestamp"].endswith("Z")


def test_what_is_below_the_level_is_not_said() -> None:
    stream = io.StringIO()
    telemetry.configure("warning", "json", stream)
    telemetry.info("job.finished")
    telemetry.warning("lease.lost")
    telemetry.configure()
    assert [event["event"] for event in events(stream)] == ["lease.lost"]


def test_a_bound_correlation_id_is_on_every_event_inside_and_on_none_outside(said: io.StringIO) -> None:
    correlation, organisation = str(uuid4()), str(uuid4())
    with telemetry.bound(correlation_id=correlation, organization_id=organisation):
        assert telemetry.correlation_id() == correlation
        telemetry.info("write.begun")
    telemetry.info("round.ended")
    inside, outside = events(said)
    assert (inside["correlation_id"], inside["organization_id"]) == (correlation, organisation)
    assert "correlation_id" not in outside


def test_coroutines_side_by_side_keep_their_own_correlation_ids(said: io.StringIO) -> None:
    async def invocation(name: str) -> None:
        with telemetry.bound(correlation_id=name):
            await asyncio.sleep(0)
            telemetry.info("write.begun", mine=name)

    async def both() -> None:
        await asyncio.gather(invocation("a"), invocation("b"))

    asyncio.run(both())
    ours = [event for event in events(said) if event["event"] == "write.begun"]
    assert [event["mine"] for event in ours] == ["a", "b"]
    assert [event["correlation_id"] for event in ours] == ["a", "b"]


@pytest.mark.parametrize("level", ["warning", "error", "critical", "debug"])
def test_what_libraries_log_goes_the_same_way(said: io.StringIO, level: str) -> None:
    getattr(logging.getLogger("httpx"), level)("a request to %s", "somewhere")
    (event,) = events(said)
    assert (event["event"], event["logger"], event["message"]) == ("library.spoke", "httpx", "a request to somewhere")


def test_no_secret_is_said_in_whatever_shape_it_comes(said: io.StringIO) -> None:
    secret = "c4n4ry/token+with=signs"
    guard(secret)
    encoded = base64.b64encode(secret.encode()).decode()
    telemetry.error(
        "write.failed",
        token=SecretStr(secret),
        message=f"the answer echoed {secret}",
        nested={"headers": [{"Authorization": f"token {secret}"}], "raw": secret.encode()},
        encoded=encoded,
        url=f"https://x.test/?t={quote(secret, safe='')}",
        api_key="anything",
    )
    logging.getLogger("httpcore").debug("send_request_headers %r", [(b"Authorization", f"Bearer {secret}".encode())])
    text = said.getvalue()
    for form in (secret, encoded, quote(secret, safe=""), "anything"):
        assert form not in text


def test_a_secret_in_a_traceback_is_masked(said: io.StringIO) -> None:
    guard("s3cr3t-in-a-local")
    try:
        raise ValueError("called with s3cr3t-in-a-local")
    except ValueError as error:
        telemetry.error("job.broke", exc_info=error)
    (event,) = events(said)
    assert "ValueError" in event["exception"]
    assert "s3cr3t-in-a-local" not in event["exception"]


def test_the_console_form_is_readable_text() -> None:
    stream = io.StringIO()
    telemetry.configure("info", "console", stream)
    telemetry.info("worker.started", concurrency=10)
    telemetry.configure()
    assert "worker.started" in stream.getvalue()
    assert "concurrency=10" in stream.getvalue()
