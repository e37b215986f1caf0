"""The environment behind the fake's API: its tenant, its companies, its people, and what it does by itself."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

from dev.fakes.dynamics365.accountant import Accountant
from dev.fakes.dynamics365.administrator import Administrator
from dev.fakes.dynamics365.changes import Changes
from dev.fakes.dynamics365.company import Company, Numbers, id_of
from dev.fakes.dynamics365.dial import Dynamics365Dial
from dev.fakes.dynamics365.entra import Entra, client_id_of
from dev.fakes.dynamics365.errors import ENGLISH, BcError
from dev.fakes.dynamics365.limits import OPERATION_SECONDS, Limits
from dev.fakes.dynamics365.posting import Posting
from dev.fakes.dynamics365.query import PAGE_SIZE
from dev.fakes.dynamics365.replica import Replica
from dev.fakes.fake import Fake


class Environment(Dynamics365Dial, ABC):
    """What is there, whatever is asked: tenants, companies, people, settings, and the job queue."""

    key = "dynamics365"
    path = "/v2.0/Production/api/v2.0"
    switches: ClassVar[tuple[str, ...]] = (
        *Fake.switches, "token_seconds", "etag_mismatch", "empty_post", "page_size", "language", "replica_lag"
    )  # fmt: skip

    def __init__(self, *, token: str | None = "test-secret") -> None:
        super().__init__()
        self.entra = Entra()
        self.companies: dict[str, Company] = {}
        self.numbers = Numbers()
        self.limits = Limits()
        self.replica = Replica(self.companies)
        everywhere, now = lambda: list(self.companies.values()), self.clock.now
        self.accountant = Accountant(everywhere, self.ledger, self.numbers, now, self.replica.remember)
        self.administrator = Administrator(everywhere, now)
        self.token_seconds = 3599
        self.etag_mismatch = 409
        self.empty_post = "refuse"
        self.page_size = PAGE_SIZE
        self.language = ENGLISH
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

    @property
    def replica_lag(self) -> float:
        return self.replica.lag

    @replica_lag.setter
    def replica_lag(self, seconds: float) -> None:
        self.replica.set_lag(seconds, self.clock.now())

    def lag_behind(self, seconds: float) -> None:
        """Reads are behind by so many seconds from now on, unless they ask for ReadWrite."""
        self.replica_lag = seconds

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
                self.replica.remember(now)

    def advance(self, seconds: float) -> None:
        """Set Business Central's clock forward; it stands still from then on."""
        self.clock.advance(timedelta(seconds=seconds))

    def set_limits(
        self,
        rate: tuple[int, float] | None = None,
        processing: int | None = None,
        queue: int = 95,
        queue_seconds: float = OPERATION_SECONDS,
    ) -> None:
        """Switch the limits per user on (6000 in 300 seconds, 5 at once, 95 waiting); what is not named is off."""
        self.limits = Limits(rate, processing, queue, queue_seconds)

    def verbs(self) -> Mapping[str, Callable[..., Any]]:
        own = {verb.__name__: verb for verb in (self.revoke_tokens, self.advance, self.set_limits, self.lag_behind)}
        hands = {
            name: getattr(one, name)
            for kind, one in (
                (Dynamics365Dial, self),
                (Accountant, self.accountant),
                (Administrator, self.administrator),
            )
            for name in vars(kind)
            if not name.startswith("_")
        }
        return {**super().verbs(), **own, **hands}
