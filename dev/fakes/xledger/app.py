"""The fake Xledger: its one endpoint, its tokens, and its behaviour where the contract leaves it open."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar

from dev.fakes.exchange import Answer, Request
from dev.fakes.fake import Fake
from dev.fakes.xledger import schema
from dev.fakes.xledger.accountant import Accountant
from dev.fakes.xledger.books import Books, Owner
from dev.fakes.xledger.dial import XledgerDial
from dev.fakes.xledger.importer import import_all, import_due
from dev.fakes.xledger.limits import Limits
from dev.fakes.xledger.schema import VendorError
from dev.fakes.xledger.session import Manners, Session

BAD_TOKEN = 'Bad format for API Token. Expected header: "Authorization: token <your-token>"'


class XledgerFake(XledgerDial):
    """A stateful Xledger. One server holds several organisations, one token each (or more).

    Switches: ``import_delay`` (seconds until the import job takes a row; ``None``: only :meth:`run_import` does),
    ``atomicity`` (``"all"``: one bad row refuses the whole mutation; ``"partial"``: the good rows stay),
    ``error_status`` (the HTTP status of errors: 200 or 400), ``db_ids`` (``"string"`` or ``"number"``),
    ``empty`` (how nothing looks: ``"edges_null"``, ``"connection_null"``, ``"data_null"`` or ``"list"``),
    ``filters`` (``"evidenced"``, or ``"wide"`` for the ones that are only guessed at),
    ``unwanted_text`` (a row with this text is refused by an error that names neither row nor voucher).
    """

    key = "xledger"
    path = "/graphql"
    switches: ClassVar[tuple[str, ...]] = (
        *Fake.switches, "import_delay", "atomicity", "error_status", "unauthorized_status", "db_ids", "empty",
        "filters", "unwanted_text",
    )  # fmt: skip

    def __init__(self, *, token: str | None = "test-token", import_delay: float | None = 0.0) -> None:
        super().__init__()
        self.books = Books()
        self.limits = Limits()
        self.accountant = Accountant(self.books, self.ledger, self.local_now)
        self.import_delay = import_delay
        self.atomicity = "all"
        self.error_status = 200
        self.unauthorized_status = 401
        self.db_ids = "string"
        self.empty = "edges_null"
        self.filters = "evidenced"
        self.unwanted_text: str | None = None
        if token is not None:
            self.add_owner(token)

    # -- who ---------------------------------------------------------------------------------------------------------

    def add_owner(self, token: str, name: str = "Frivillig Norge", code: str | None = None) -> Owner:
        """A legal entity of its own, reached by this token."""
        number = next(self.books.owner_numbers)
        owner = Owner(name, code or str(number), 42_364_431 + number)
        self.books.tokens[token] = owner
        return owner

    def add_tenant(self, token: str, name: str = "Frivillig Norge", code: str | None = None) -> str:
        return self.add_owner(token, name, code).code

    def counts(self) -> Mapping[str, int]:
        return {"queued": len(self.books.queue), "importErrors": len(self.books.errors)}

    def issue_token(self, token: str, owner: Owner, *, read_only: bool = False) -> None:
        """Another token for an entity that is there."""
        self.books.tokens[token] = owner
        if read_only:
            self.books.read_only.add(token)

    def owner_of(self, token: str) -> Owner:
        """The entity that this token reaches."""
        return self.books.tokens[token]

    def revoke_token(self, token: str) -> None:
        del self.books.tokens[token]

    @property
    def owner(self) -> Owner:
        """The first entity: the only one in most tests."""
        return next(iter(self.books.tokens.values()))

    # -- time, and what happens by itself ------------------------------------------------------------------------------

    def local_now(self) -> datetime:
        """Now, as Xledger writes it: Norwegian local time without an offset."""
        return self.clock.now().astimezone(schema.LOCAL).replace(tzinfo=None)

    def settle(self) -> None:
        import_due(self.books, self.ledger, self.local_now())

    def run_import(self) -> None:
        """Run the import job now, over everything in the queue."""
        with self.ledger.lock:
            import_all(self.books, self.ledger, self.local_now())

    def _between(self) -> None:
        if self.imports_between:
            import_all(self.books, self.ledger, self.local_now())

    def set_clock(self, moment: str | None) -> None:
        """Stop Xledger's clock at this moment (ISO 8601 with an offset); ``None`` lets it run again."""
        self.clock.set(None if moment is None else datetime.fromisoformat(moment))

    def set_limits(
        self, burst: tuple[int, float] | None = None, concurrency: int | None = None, budget: int | None = None
    ) -> None:
        """Switch Xledger's own limits on (``budget``: credits per window); what is not named is off."""
        self.limits = Limits(burst, concurrency, budget)

    def verbs(self) -> Mapping[str, Callable[..., Any]]:
        own = (self.run_import, self.revoke_token, self.set_clock, self.set_limits)
        dial = (self.answer_200_with_errors, self.rate_limit_storm, self.import_between_reads)
        hands = self.accountant
        hand = (hands.delete_posted, hands.delete_queued, hands.post_leftover, hands.close_period, hands.add_codes)
        return {**super().verbs(), **{verb.__name__: verb for verb in (*own, *dial, *hand)}}

    # -- requests ------------------------------------------------------------------------------------------------------

    def operation(self, request: Request) -> str:
        payload = _payload(request)
        return schema.root_fields(payload["query"]) if payload else "invalid"

    def admit(self, request: Request) -> Answer | None:
        cost = 1 + len(request.body) // 10_000
        refused = self.limits.refusal(self.clock.now(), self.in_flight, cost)
        return self._errors(refused) if refused else None

    def execute(self, request: Request) -> Answer:
        if not request.path.endswith(self.path):
            return Answer.of_html(404, "<html><body><h1>404 Not Found</h1></body></html>")
        if request.method != "POST":
            return Answer.of_html(405, "<html><body><h1>405 Method Not Allowed</h1></body></html>", {"allow": "POST"})
        token = re.fullmatch(r"token (\S.*)", request.headers.get("authorization", ""))
        if token is None:
            return self._errors(VendorError(BAD_TOKEN))
        owner = self.books.tokens.get(token[1])
        if owner is None:
            return self._errors(VendorError("Invalid API token."), self.unauthorized_status)
        payload = _payload(request)
        if payload is None:
            return self._errors(VendorError("The request body must be JSON with a query."), 400)
        self.settle()
        return self._run(payload, owner, token[1])

    def _run(self, payload: Mapping[str, Any], owner: Owner, token: str) -> Answer:
        shown: Callable[[int], int | str] = int if self.db_ids == "number" else str
        manners = Manners(self.atomicity, self.empty, self.import_delay, self.unwanted_text)
        writes = token not in self.books.read_only
        session = Session(owner, self.books, self.ledger, self.local_now(), shown, manners, writes, self._between)
        query, variables, name = payload["query"], payload.get("variables"), payload.get("operationName")
        body = schema.run(query, variables, name, session.root(), wide=self.filters == "wide")
        found = [value for name, value in (body.get("data") or {}).items() if name != "__typename"]
        if self.empty == "data_null" and found and not any(found):
            body = {"data": None}
        return Answer.of_json(self.error_status if "errors" in body else 200, body)

    def _errors(self, fault: VendorError, status: int | None = None) -> Answer:
        return Answer.of_json(status or self.error_status, {"errors": [fault.as_json()]})


def _payload(request: Request) -> dict[str, Any] | None:
    """The body's JSON, if it is a GraphQL request."""
    try:
        payload = json.loads(request.body)
    except ValueError:
        return None
    is_whole = isinstance(payload, dict) and isinstance(payload.get("query"), str)
    variables = payload.get("variables") if is_whole else None
    return payload if is_whole and (variables is None or isinstance(variables, dict)) else None
