"""The fake Business Central at its line: who asks, whether it may, and where the request goes."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from dev.fakes.dynamics365 import batch, routes
from dev.fakes.dynamics365.changes import Changes
from dev.fakes.dynamics365.company import Company
from dev.fakes.dynamics365.entra import Application
from dev.fakes.dynamics365.environment import Environment
from dev.fakes.dynamics365.errors import ENGLISH, BcError, no_such_resource
from dev.fakes.dynamics365.limits import OPERATION_SECONDS
from dev.fakes.dynamics365.operations import Operation, Result
from dev.fakes.dynamics365.paths import API, TOKEN, named
from dev.fakes.dynamics365.session import Manners, Session
from dev.fakes.exchange import Answer, Exchange, Request

REJECTED = BcError(401, "Authentication_InvalidCredentials", "The server has rejected the client credentials.")


class Dynamics365Fake(Environment):
    """A stateful Business Central: one environment with several companies, each reached by an application of its own.

    An application is known by its client secret; its client id follows from it (:meth:`client_id`). ``fake.url`` is the
    API's root, ``fake.token_url`` the token endpoint, ``fake.company.code`` the company's id.

    Switches: ``token_seconds`` (how long a token is good for), ``etag_mismatch`` (409 or 412), ``empty_post``
    (``"refuse"``: posting an empty journal is "There is nothing to post."; ``"accept"``: 204), ``page_size``,
    ``language`` (of errors, where a request does not ask for en-US), ``replica_lag`` (seconds that a read is behind
    unless it asks for ReadWrite).
    """

    def operation(self, request: Request) -> str:
        """``token``, ``post``, ``$batch`` (``GET $batch`` where it only reads), or the method and the entity."""
        if TOKEN.search(request.path):
            return "token"
        name = named(request.path)
        if name == "$batch":
            writes = any(f'"{method}"'.encode() in request.body for method in ("POST", "PATCH", "DELETE"))
            return "$batch" if writes or not request.body else "GET $batch"
        return name if name == "post" and request.method == "POST" else f"{request.method} {name}"

    async def _play(self, request: Request, exchange: Exchange) -> None:
        now, user, limits = self.clock.now(), self._user(request), self.limits
        refused = None if request.operation == "token" else limits.refusal(user, now)
        if refused is not None:
            await exchange.reply(refused.answer())
            return
        self._arrivals[id(request)] = now
        async with limits.place(user) as got:
            if got:
                await super()._play(request, exchange)
            else:
                await exchange.reply(Answer.of_html(503, "<html><h1>503</h1></html>", {"retry-after": "60"}))
        self._arrivals.pop(id(request), None)

    def execute(self, request: Request) -> Answer:
        now, arrived = self.clock.now(), self._arrivals.get(id(request), self.clock.now())
        token = TOKEN.search(request.path)
        if token is not None:
            return self.entra.answer(token["tenant"], request.body, now, self.token_seconds)
        if (now - arrived).total_seconds() > OPERATION_SECONDS:  # its session was cancelled meanwhile
            return BcError(408, "Unknown", "The operation was canceled because it took too long.").answer()
        self.settle()
        application = self.entra.who(request.headers.get("authorization", ""), arrived)
        if application is None:
            return REJECTED.answer()
        asks_english = request.headers.get("accept-language", "").lower().startswith("en")
        language = ENGLISH if asks_english else self.language
        try:
            return self._run(request, application, now, language)
        except BcError as error:
            return error.answer(language)
        finally:
            if request.method != "GET":
                self.replica.remember(now)

    def _run(self, request: Request, application: Application, now: datetime, language: str) -> Answer:
        found = API.search(request.path)
        if found is None:
            raise no_such_resource(request.path)
        changes, rest = Changes(), found["rest"]
        base = f"http://{request.headers['host']}{request.path.removesuffix(rest)}"
        delivery = next(self.numbers.deliveries)
        manners = Manners(self.etag_mismatch, self.page_size, self.empty_post, language)

        def seen(company: Company, delayed: bool) -> tuple[Company, datetime | None]:
            return self.replica.seen(company, now) if delayed else (company, None)

        session = Session(application, self.ledger, self.numbers, changes, now, base, delivery, manners, seen)
        if rest == "/$batch":
            return batch.answer(request, session, f"{base}/")
        body = batch.parsed(request) if request.body and request.method in ("POST", "PATCH", "PUT") else {}
        return _as_answer(routes.run(session, Operation(request.method, rest, request.query, request.headers, body)))

    def _user(self, request: Request) -> str:
        held = self.entra.tokens.get(request.headers.get("authorization", "").partition(" ")[2])
        return held.application.client_id if held else "nobody"


def _as_answer(result: Result) -> Answer:
    headers = {"odata-version": "4.0", "request-id": str(uuid4()), **result.headers}
    if result.body is None:
        return Answer(result.status, b"", headers)
    return Answer.of_json(result.status, result.body, headers)
