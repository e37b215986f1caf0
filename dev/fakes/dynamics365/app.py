"""The fake Business Central: its token endpoint, its API, its batch, and what it does by itself in the meantime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import uuid4

from dev.fakes.dynamics365 import batch, routes
from dev.fakes.dynamics365.accountant import Accountant
from dev.fakes.dynamics365.changes import Changes
from dev.fakes.dynamics365.company import Company, Numbers, id_of
from dev.fakes.dynamics365.dial import Dynamics365Dial
from dev.fakes.dynamics365.entra import Application, Entra, client_id_of
from dev.fakes.dynamics365.errors import BcError, no_such_resource
from dev.fakes.dynamics365.limits import OPERATION_SECONDS, Limits
from dev.fakes.dynamics365.operations import Operation, Result
from dev.fakes.dynamics365.paths import API, TOKEN, named
from dev.fakes.dynamics365.posting import Posting
from dev.fakes.dynamics365.query import PAGE_SIZE
from dev.fakes.dynamics365.session import Manners, Session
from dev.fakes.exchange import Answer, Exchange, Request
from dev.fakes.fake import Fake

REJECTED = BcError(401, "Authentication_InvalidCredentials", "The server has rejected the client credentials.")


class Dynamics365Fake(Dynamics365Dial):
    """A stateful Business Central: one environment with several companies, each reached by an application of its own.

    An application is known by its client secret; its client id follows from it (:meth:`client_id`). ``fake.url`` is the
    API's root, ``fake.token_url`` the token endpoint, ``fake.company.code`` the company's id.

    Switches: ``token_seconds`` (how long a token is good for), ``etag_mismatch`` (409 or 412), ``empty_post``
    (``"refuse"``: posting an empty journal is "There is nothing to post."; ``"accept"``: 204), ``page_size``.
    """

    key = "dynamics365"
    path = "/v2.0/Production/api/v2.0"
    switches: ClassVar[tuple[str, ...]] = (*Fake.switches, "token_seconds", "etag_mismatch", "empty_post", "page_size")

    def __init__(self, *, token: str | None = "test-secret") -> None:
        super().__init__()
        self.entra = Entra()
        self.companies: dict[str, Company] = {}
        self.numbers = Numbers()
        self.limits = Limits()
        self.accountant = Accountant(lambda: list(self.companies.values()), self.ledger, self.numbers, self.clock.now)
        self.token_seconds = 3599
        self.etag_mismatch = 409
        self.empty_post = "refuse"
        self.page_size = PAGE_SIZE
        self._arrivals: dict[int, datetime] = {}
        if token is not None:
            self.add_company(token)

    # -- who ---------------------------------------------------------------------------------------------------------

    def add_company(self, secret: str, name: str = "Frivillig Norge", code: str | None = None) -> Company:
        """A company of its own, reached by the application with this secret; ``code`` is its id, made if not given."""
        company = Company(id_of("company", code or f"{secret}/{name}"), name, self.clock.now())
        self.companies[company.code] = company
        self.entra.register(secret).companies[company.id] = company
        return company

    def add_tenant(self, token: str, name: str = "Frivillig Norge", code: str | None = None) -> str:
        return self.add_company(token, name, code).code

    @staticmethod
    def client_id(secret: str) -> str:
        """The client id of the application with this secret."""
        return client_id_of(secret)

    @property
    def company(self) -> Company:
        """The first company: the only one in most tests."""
        return next(iter(self.companies.values()))

    @property
    def token_url(self) -> str:
        """The token endpoint of the tenant."""
        return f"{self.url.removesuffix(self.path)}/{self.entra.tenant}/oauth2/v2.0/token"

    def facts(self) -> Mapping[str, str]:
        return {"tokenUrl": self.token_url}

    def counts(self) -> Mapping[str, int]:
        journals = [journal for company in self.companies.values() for journal in company.journals.values()]
        lines = [line for journal in journals for line in journal.lines.values() if not line.is_blank]
        return {"journals": len(journals), "journalLines": len(lines)}

    def revoke_tokens(self) -> None:
        """Every token that was given is worth nothing from now on."""
        self.entra.tokens.clear()

    # -- time, and what happens by itself ------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let the job queue post what is due. What it cannot post stays in its journal, with the reason."""
        now = self.clock.now()
        for company in self.companies.values():
            for journal in [one for one in company.journals.values() if one.due is not None and one.due <= now]:
                journal.due = None
                try:
                    Posting(company, self.ledger, self.numbers, now, by="job queue").post(journal, Changes())
                except BcError as error:
                    journal.refusal = error.message

    def advance(self, seconds: float) -> None:
        """Set Business Central's clock forward; it stands still from then on."""
        self.clock.advance(timedelta(seconds=seconds))

    def set_limits(self, rate: tuple[int, float] | None = None, processing: int | None = None, queue: int = 95) -> None:
        """Switch the limits per user on (6000 in 300 seconds, 5 at once, 95 waiting); what is not named is off."""
        self.limits = Limits(rate, processing, queue)

    def verbs(self) -> Mapping[str, Callable[..., Any]]:
        hands = self.accountant
        own = (self.revoke_tokens, self.advance, self.set_limits)
        dial = (self.refuse_next, self.throttle_next, self.deadlock_next, self.cancel_next, self.queue_timeout_next)
        more = (self.short_batch_next, self.nameless_batch_next, self.throttle_storm)
        hand = (hands.post_leftover, hands.post_journal, hands.delete_lines, hands.delete_journal, hands.delete_posted)
        rest = (hands.add_line, hands.close_period, hands.set_up, hands.set_template)
        return {**super().verbs(), **{verb.__name__: verb for verb in (*own, *dial, *more, *hand, *rest)}}

    # -- requests ------------------------------------------------------------------------------------------------------

    def operation(self, request: Request) -> str:
        """``token``, ``post``, ``$batch`` (``GET $batch`` where it only reads), or the method and the entity."""
        if TOKEN.search(request.path):
            return "token"
        name = named(request.path)
        if name == "$batch":
            writes = any(f'"{method}"'.encode() in request.body for method in ("POST", "PATCH", "DELETE"))
            return "$batch" if writes or not request.body else "GET $batch"
        return name if name == "post" else f"{request.method} {name}"

    def admit(self, request: Request) -> Answer | None:
        now = self.clock.now()
        self._arrivals[id(request)] = now
        if request.operation == "token":
            return None
        refused = self.limits.refusal(self._user(request), now)
        return refused.answer() if refused else None

    async def _play(self, request: Request, exchange: Exchange) -> None:
        user = self._user(request)
        await self.limits.enter(user)
        try:
            await super()._play(request, exchange)
        finally:
            self.limits.leave(user)
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
        try:
            return self._run(request, application, now)
        except BcError as error:
            return error.answer()

    def _run(self, request: Request, application: Application, now: datetime) -> Answer:
        found = API.search(request.path)
        if found is None:
            raise no_such_resource(request.path)
        changes, rest = Changes(), found["rest"]
        base = f"{self.url.removesuffix(self.path)}{found[0].removesuffix(rest)}" if rest else self.url
        delivery = next(self.numbers.deliveries)
        manners = Manners(self.etag_mismatch, self.page_size, self.empty_post)
        session = Session(application, self.ledger, self.numbers, changes, now, base, delivery, manners)
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
