"""``$batch``: many operations in one request, and with ``Isolation: snapshot`` in one transaction (A6).

* The outer status is 200 whatever becomes of the operations [MS].
* Under snapshot a failing operation takes back all of them, and the earlier ones still say 201 with ids [MS][LIVE-3P].
* If operation 0 fails there is one response; if a later one fails there are all of them [LIVE-3P].
* Without it, processing stops at the first failure [3P], or goes on with ``Prefer: odata.continue-on-error``.
* An operation without an id gets its response with ``null`` for one [MS sample].
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from uuid import uuid4

from dev.fakes.dynamics365 import routes
from dev.fakes.dynamics365.errors import BcError, malformed, not_allowed
from dev.fakes.dynamics365.operations import Operation, Result
from dev.fakes.dynamics365.session import Session
from dev.fakes.exchange import Answer, Request

MOST_OPERATIONS = 100
TOO_MANY = (
    f"The current batch message contains too many parts. A maximum number of '{MOST_OPERATIONS}' query operations and"
    " change sets are allowed in a batch message."
)
KNOWN = ("id", "method", "url", "headers", "body", "dependsOn", "atomicityGroup")
CHANGE_SETS = (
    "Multiple requests within the same change set are not supported by Microsoft Dynamics 365 Business Central OData"
    " web services."
)


def answer(request: Request, session: Session, root: str) -> Answer:
    """Execute a batch. ``root`` is what its URLs may begin with. Raises BcError when it is none."""
    if request.method != "POST":
        raise not_allowed(request.method, "$batch")
    snapshot = request.headers.get("isolation", "").lower() == "snapshot"

    def execute(operation: Operation) -> Result:
        result = routes.run(session, operation)
        if not snapshot:  # each operation is a transaction of its own
            session.changes.commit()
        return result

    responses = _run(operations(request, root), execute, request.headers, session.manners.language)
    if any(response["status"] >= 400 for response in responses):
        session.changes.roll_back()
    return _written(responses, request)


def operations(request: Request, root: str) -> list[tuple[Any, Operation]]:
    """The operations of a batch with their ids. Raises BcError when it cannot be read, or is too long."""
    if request.headers.get("content-type", "").startswith("multipart/mixed"):
        raise BcError(500, "Unknown", CHANGE_SETS)  # microsoft/AL#5553
    body = parsed(request)
    given = body.get("requests") if isinstance(body, dict) else None
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise malformed("The batch must be a JSON object with an array 'requests'.")
    if len(given) > MOST_OPERATIONS:
        raise BcError(500, "Unknown", TOO_MANY)  # [LIVE-3P]
    return [(one.get("id"), _operation(one, request, root)) for one in given]


def parsed(request: Request) -> Any:
    """A request's JSON, its numbers exact. Raises BcError."""
    if "application/json" not in request.headers.get("content-type", ""):
        raise BcError(415, "BadRequest", "The Content-Type must be application/json.")
    try:
        return json.loads(request.body, parse_float=Decimal)
    except ValueError:
        raise malformed("The request body is not valid JSON.") from None


def _operation(one: Mapping[str, Any], request: Request, root: str) -> Operation:
    for name in one:
        if name not in KNOWN:
            raise malformed(f"The property '{name}' is not known in a batch's request.")
    if not isinstance(one.get("method"), str) or not isinstance(one.get("url"), str):
        raise malformed("Every request of a batch needs a method and a url.")
    inner = {str(name).lower(): str(value) for name, value in (one.get("headers") or {}).items()}
    path, _, query = str(one["url"]).removeprefix(root).partition("?")
    if "body" in one and "application/json" not in inner.get("content-type", ""):
        raise malformed("A request of a batch with a body needs the header Content-Type: application/json.")
    outer = {name: request.headers[name] for name in ("data-access-intent", "company") if name in request.headers}
    selected = "&".join(filter(None, (query, request.query)))  # ?company= on the batch's URL [3P]
    return Operation(str(one["method"]).upper(), path, selected, {**outer, **inner}, one.get("body"))


def _run(
    given: list[tuple[Any, Operation]],
    execute: Callable[[Operation], Result],
    headers: Mapping[str, str],
    language: str,
) -> list[dict[str, Any]]:
    snapshot = headers.get("isolation", "").lower() == "snapshot"
    goes_on = "odata.continue-on-error" in headers.get("prefer", "")
    responses = []
    for position, (name, operation) in enumerate(given):
        try:
            result = execute(operation)
        except BcError as error:
            result = Result(
                error.status, error.body(language), {"content-type": "application/json; odata.metadata=minimal"}
            )
        response: dict[str, Any] = {"id": name, "status": result.status, "headers": dict(result.headers)}
        if result.body is not None:
            response["body"] = result.body
        responses.append(response)
        if result.status >= 400 and not goes_on and (not snapshot or position == 0):
            break
    return responses


def _written(responses: list[dict[str, Any]], request: Request) -> Answer:
    """JSON where the client accepts it by name; else multipart/mixed [3P]."""
    if "application/json" in request.headers.get("accept", ""):
        return Answer.of_json(200, {"responses": responses}, {"odata-version": "4.0"})
    boundary = f"batchresponse_{uuid4()}"
    parts = []
    for one in responses:
        lines = [f"--{boundary}", "Content-Type: application/http", "Content-Transfer-Encoding: binary", ""]
        lines += [f"HTTP/1.1 {one['status']} ", *(f"{name}: {value}" for name, value in one["headers"].items()), ""]
        parts += [*lines, json.dumps(one["body"]) if "body" in one else ""]
    body = "\r\n".join([*parts, f"--{boundary}--", ""])
    return Answer(200, body.encode(), {"content-type": f"multipart/mixed; boundary={boundary}"})
