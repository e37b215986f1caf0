"""Microsoft Entra's token endpoint for client credentials, and the tokens that it has given (A2).

Success and the error's shape are [MS]; the status and the code of a wrong secret and of an unknown application are
[REC]. There is no refresh token for this grant [MS].
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import parse_qs
from uuid import UUID, uuid4

from dev.fakes.dynamics365.company import Company, id_of
from dev.fakes.exchange import Answer

SCOPE = "https://api.businesscentral.dynamics.com/.default"


@dataclass(eq=False)
class Application:
    """An app registration: a user of Business Central, with the companies whose permission sets it was given."""

    client_id: str
    secret: str
    companies: dict[UUID, Company] = field(default_factory=dict)
    may_write: bool = True
    may_post: bool = True


class Token(NamedTuple):
    application: Application
    expires_at: datetime


def client_id_of(secret: str) -> str:
    """The client id that belongs to a secret in this fake."""
    return str(id_of("application", secret))


class Entra:
    """The applications of one tenant, and their tokens."""

    def __init__(self) -> None:
        self.tenant = str(id_of("tenant"))
        self.applications: dict[str, Application] = {}
        self.tokens: dict[str, Token] = {}

    def register(self, secret: str) -> Application:
        """The application with this secret; made, if there is none yet."""
        client_id = client_id_of(secret)
        return self.applications.setdefault(client_id, Application(client_id, secret))

    def answer(self, tenant: str, body: bytes, now: datetime, seconds: int) -> Answer:
        """The answer to a token request; a token is good for so many seconds."""
        given = {name: values[-1] for name, values in parse_qs(body.decode("latin-1")).items()}
        application = self.applications.get(given.get("client_id", ""))
        if tenant.lower() != self.tenant:
            return _refused(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.", now)
        if given.get("grant_type") != "client_credentials":
            return _refused(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.", now)
        if application is None:
            said = f"Application with identifier '{given.get('client_id')}' was not found in the directory."
            return _refused(400, "unauthorized_client", 700016, said, now)
        if given.get("client_secret") != application.secret:
            return _refused(401, "invalid_client", 7000215, "Invalid client secret provided.", now)
        if given.get("scope") != SCOPE:
            said = "The provided value for the input parameter 'scope' is not valid."
            return _refused(400, "invalid_scope", 70011, said, now)
        token = f"eyJ0eXAiOiJKV1Qi.{uuid4().hex}.{uuid4().hex}"
        self.tokens[token] = Token(application, now + timedelta(seconds=seconds))
        return Answer.of_json(200, {"token_type": "Bearer", "expires_in": seconds, "access_token": token})

    def who(self, authorization: str, now: datetime) -> Application | None:
        """Whose the token is, unless it has expired or its application is gone."""
        kind, _, token = authorization.partition(" ")
        held = self.tokens.get(token) if kind == "Bearer" else None
        if held is None or held.expires_at <= now or held.application.client_id not in self.applications:
            return None
        return held.application


def _refused(status: int, error: str, code: int, said: str, now: datetime) -> Answer:
    trace, correlation, moment = str(uuid4()), str(uuid4()), now.strftime("%Y-%m-%d %H:%M:%SZ")
    description = f"AADSTS{code}: {said}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {moment}"
    body = {"error": error, "error_description": description, "error_codes": [code], "timestamp": moment}
    return Answer.of_json(status, {**body, "trace_id": trace, "correlation_id": correlation})
