"""The control API of served fakes: another process scripts faults, plays the accountant, and asks the ledger.

    GET  /control                        which fakes there are, and their URLs
    GET  /control/{fake}                 calls by operation, faults that never happened, switches, counts
    POST /control/{fake}                 {"do": "fail_next", "with": {"status": 429, "after": 30}}
    POST /control/{fake}/set             {"import_delay": 2, "latency": 0.15}
    POST /control/{fake}/owners          {"token": "...", "name": "...", "code": "..."}
    GET  /control/{fake}/ledger          what was really booked (?owner=code)
    POST /control/{fake}/ledger/check    {"expected": ["BL..."], "owner": null} -> missing, doubled, …
    GET  /control/{fake}/requests        the last requests: operation, headers (without the credential), size

A wrong name or argument is answered with 400 and a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dev.fakes.fake import Fake
from dev.fakes.faults import Hold

Fakes = Mapping[str, Fake]


class WrongUse(Exception):
    """What was asked for does not exist, or not like this."""


def control_routes(fakes: Fakes) -> list[Route]:
    async def index(_request: Request) -> Response:
        return JSONResponse({key: fake.url for key, fake in fakes.items()})

    def on_fake(answer: Callable[[Fake, Request, dict[str, Any]], Any]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                fake = fakes[request.path_params["fake"]]
                body = json.loads(await request.body() or b"{}")
                return JSONResponse(answer(fake, request, body))
            except KeyError as error:
                return JSONResponse({"error": f"There is nothing called {error}."}, 404)
            except (WrongUse, TypeError, ValueError, LookupError) as error:
                return JSONResponse({"error": str(error)}, 400)

        return endpoint

    base = "/control/{fake}"
    return [
        Route("/control", index),
        Route(base, on_fake(state), methods=["GET"]),
        Route(base, on_fake(do), methods=["POST"]),
        Route(f"{base}/set", on_fake(switch), methods=["POST"]),
        Route(f"{base}/owners", on_fake(add_owner), methods=["POST"]),
        Route(f"{base}/ledger", on_fake(ledger), methods=["GET"]),
        Route(f"{base}/ledger/check", on_fake(check), methods=["POST"]),
        Route(f"{base}/requests", on_fake(requests), methods=["GET"]),
    ]


def state(fake: Fake, _request: Request, _body: dict[str, Any]) -> dict[str, Any]:
    return {
        "url": fake.url,
        "calls": dict(fake.calls),
        "unused": fake.unused(),
        "inFlight": fake.in_flight,
        "mostInFlight": fake.most_in_flight,
        "switches": {name: getattr(fake, name) for name in fake.switches},
        "booked": len(fake.ledger.vouchers()),
        **fake.counts(),
        **fake.facts(),
    }


def do(fake: Fake, _request: Request, body: dict[str, Any]) -> dict[str, Any]:
    verb = fake.verbs().get(body.get("do", ""))
    if verb is None:
        raise WrongUse(f"{body.get('do')!r} is not something that {fake.key} does: {', '.join(sorted(fake.verbs()))}.")
    result = verb(**body.get("with", {}))
    return {"result": result if isinstance(result, int | str | list | dict) else None, "held": isinstance(result, Hold)}


def switch(fake: Fake, _request: Request, body: dict[str, Any]) -> dict[str, Any]:
    for name, value in body.items():
        if name not in fake.switches:
            raise WrongUse(f"{name!r} is not a switch of {fake.key}: {', '.join(fake.switches)}.")
        setattr(fake, name, value)
    return {name: getattr(fake, name) for name in fake.switches}


def add_owner(fake: Fake, _request: Request, body: dict[str, Any]) -> dict[str, Any]:
    return {"code": fake.add_tenant(**body)}


def ledger(fake: Fake, request: Request, _body: dict[str, Any]) -> list[dict[str, Any]]:
    return [voucher.as_json() for voucher in fake.ledger.vouchers(request.query_params.get("owner"))]


def check(fake: Fake, _request: Request, body: dict[str, Any]) -> dict[str, Any]:
    expected, owner = list(body["expected"]), body.get("owner")
    return {
        "missing": fake.ledger.missing(expected, owner),
        "doubled": fake.ledger.doubled(owner),
        "unexpected": fake.ledger.unexpected(expected, owner),
        "unbalanced": fake.ledger.unbalanced(owner),
    }


def requests(fake: Fake, _request: Request, _body: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "operation": request.operation,
            "headers": {name: value for name, value in request.headers.items() if name != "authorization"},
            "bytes": len(request.body),
        }
        for request in fake.requests
    ]
