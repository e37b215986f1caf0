"""Access tokens by OAuth2 client credentials: asked for once, kept in memory until they run out.

What is known [MS]: a POST of the form to the tenant's token endpoint with the scope of Business Central; ``expires_in``
is about an hour; this grant has no refresh token, so a new one is simply asked for. A 4xx of the token endpoint is
about the credential or the tenant; 429 and 5xx pass. When Business Central answers 401, the token is dropped and the
request sent once more: a 401 has done nothing.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

import httpx

from worker.adapters._dynamics365_settings import Dynamics365Settings
from worker.contract import Call
from worker.errors import Executed, Unauthorized
from worker.faults import Fault
from worker.http import Answer
from worker.redaction import guard

SCOPE = "https://api.businesscentral.dynamics.com/.default"
EARLY_SECONDS = 300.0
"""A token that runs out sooner than this is replaced, if a new one can be had."""

_TOKEN = re.compile(r"[\x21-\x7e]+")
_TRACES = re.compile(r"\s*(Trace ID|Correlation ID|Timestamp):.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Token:
    """``until`` is a reading of the cache's clock; ``client`` a hash of whom it was given to."""

    text: str
    until: float
    client: str


class Tokens:
    """The tokens of this process: one per integration, dropped when its credential changes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._kept: dict[tuple[UUID, str], Token] = {}

    def of(self, call: Call, client: str) -> Token | None:
        """The token of this integration, if it was given to this client and has not run out."""
        token = self._kept.get((call.org_id, call.integration_type))
        return token if token and token.client == client and token.until > self.clock() else None

    def keep(self, call: Call, token: Token) -> None:
        now = self.clock()
        self._kept = {key: kept for key, kept in self._kept.items() if kept.until > now}
        self._kept[call.org_id, call.integration_type] = token

    def drop(self, call: Call) -> None:
        self._kept.pop((call.org_id, call.integration_type), None)


TOKENS = Tokens()


class ClientCredentials(httpx.Auth):
    """The authorization of one invocation's requests. :meth:`ready` fetches the token before the first of them."""

    def __init__(self, call: Call, tokens: Tokens = TOKENS) -> None:
        self._call, self._tokens = call, tokens
        self._one_at_a_time = asyncio.Lock()
        self._token: Token | None = None

    async def ready(self) -> None:
        """Have a token that lasts. Raises AdapterError: nothing of what it was for was sent."""
        client, form = await self._client()
        kept = self._tokens.of(self._call, client)
        if kept is None:
            self._token = await self._ask(client, form)
        elif kept.until - self._tokens.clock() > EARLY_SECONDS:
            self._token = kept
        else:
            self._token = await self._replace(kept, client, form)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        tried = self._bear(request)
        response = yield request
        if response.status_code == 401:
            await self._renew(tried)
            self._bear(request)
            yield request

    def _bear(self, request: httpx.Request) -> Token | None:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token.text}"
        return self._token

    async def _renew(self, tried: Token | None) -> None:
        """A new token, unless another request of this invocation has fetched one meanwhile."""
        async with self._one_at_a_time:
            if self._token is tried:
                self._tokens.drop(self._call)
                self._token = await self._ask(*await self._client())

    async def _replace(self, kept: Token, client: str, form: str) -> Token:
        """A fresh token early; the old one is good for a while if none is to be had."""
        from worker.errors import AdapterError

        try:
            return await self._ask(client, form)
        except AdapterError as error:
            if error.is_permanent:
                raise
            return kept

    async def _ask(self, client: str, form: str) -> Token:
        answer = await self._call.http.send(
            "POST",
            cast("Dynamics365Settings", self._call.settings).token_url,
            writes=False,
            headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
            body=form.encode(),
        )
        body = _readable(answer)
        text, seconds = body.get("access_token"), body.get("expires_in")
        if not isinstance(text, str) or not _TOKEN.fullmatch(text):
            raise answer.failure(Fault.NOT_JSON, "what Entra answered has no access token")
        guard(text)
        token = Token(text, self._tokens.clock() + _seconds(seconds), client)
        self._tokens.keep(self._call, token)
        return token

    async def _client(self) -> tuple[str, str]:
        """The hash of the client, and the form that asks for its token."""
        text = (await self._call.credential()).get_secret_value()
        identity, secret = _pair(text)
        guard(secret)
        url = cast("Dynamics365Settings", self._call.settings).token_url
        form = {"grant_type": "client_credentials", "client_id": identity, "client_secret": secret, "scope": SCOPE}
        return sha256(json.dumps([url, identity, secret]).encode()).hexdigest(), urlencode(form)


def _pair(text: str) -> tuple[str, str]:
    try:
        credential = json.loads(text)
        identity, secret = credential["client_id"], credential["client_secret"]
    except (ValueError, TypeError, KeyError):
        identity, secret = None, None
    if isinstance(identity, str) and isinstance(secret, str) and identity and secret:
        return identity, secret
    raise Unauthorized(
        'The credential has not the form {"client_id": "…", "client_secret": "…"}.', executed=Executed.NO
    )


def _readable(answer: Answer) -> dict[str, Any]:
    if answer.status >= 300:
        raise _refusal(answer)
    body = answer.json()
    if not isinstance(body, dict):
        raise answer.failure(Fault.NOT_JSON, "what Entra answered is not an object")
    return body


def _refusal(answer: Answer) -> Exception:
    """A 4xx names the client, its secret or the tenant: the credential is refused. Anything else passes."""
    if answer.status in (408, 429) or not 400 <= answer.status < 500:
        return answer.error(f"Entra gave no access token, but HTTP {answer.status}")
    try:
        body = json.loads(answer.body)
        said = _TRACES.sub("", str(body.get("error_description") or body.get("error")))
    except (ValueError, AttributeError):
        said = ""
    return Unauthorized(
        f"Entra gave no access token. {said or f'HTTP {answer.status}'}",
        http_status=answer.status,
        executed=Executed.NO,
        answered=True,
    )


def _seconds(expires_in: Any) -> float:
    """How long it lasts; five minutes if the answer does not say. Business Central's 401 has the last word."""
    try:
        return min(max(float(expires_in), 0.0), 24 * 3600.0)
    except (TypeError, ValueError):
        return EARLY_SECONDS
