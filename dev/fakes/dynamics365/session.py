"""Who asks, in which transaction, and what can be reached: the ground of every operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from dev.fakes.dynamics365 import query
from dev.fakes.dynamics365.changes import Changes
from dev.fakes.dynamics365.company import Company, Numbers
from dev.fakes.dynamics365.edm import shown
from dev.fakes.dynamics365.entities import ENTITIES
from dev.fakes.dynamics365.entra import Application
from dev.fakes.dynamics365.errors import ENGLISH, BcError, no_such_resource
from dev.fakes.dynamics365.etags import etag
from dev.fakes.dynamics365.operations import Operation, Row
from dev.fakes.dynamics365.paths import Segment
from dev.fakes.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Manners:
    """How this Business Central behaves where the contract leaves it open, or where it can be set."""

    etag_mismatch: int = 409
    page_size: int = query.PAGE_SIZE
    empty_post: str = "refuse"
    language: str = ENGLISH


@dataclass(frozen=True, slots=True)
class Session:
    """``delivery`` numbers the request that came, ``base`` is the API's root as the client called it.

    ``seen`` gives a company as a reader sees it (true: with a replica's delay), and the moment up to which.
    """

    application: Application
    ledger: Ledger
    numbers: Numbers
    changes: Changes
    now: datetime
    base: str
    delivery: int
    manners: Manners = Manners()
    seen: Callable[[Company, bool], tuple[Company, datetime | None]] = lambda company, _: (company, None)

    def company(self, parts: list[Segment]) -> Company:
        """The company that a path begins with. One that the application may not see is not there."""
        key = parts[0].key
        found = None if key is None else self.application.companies.get(key)
        if found is None:
            raise BcError(404, "Internal_CompanyNotFound", f"The company '{key}' does not exist.")
        return found

    def company_asked_for(self, operation: Operation) -> UUID:
        """``?company=`` [MS], or a batch's inner header ``Company`` by name [MS]."""
        wanted = query.options(operation.query).get("company") or operation.headers.get("company")
        for company in self.application.companies.values():
            if wanted in (company.code, company.name):
                return company.id
        if wanted:
            raise BcError(404, "Internal_CompanyNotFound", f"The company '{wanted}' does not exist.")
        raise no_such_resource(operation.path)

    def entity(self, name: str, row: Row, names: list[str] | None = None, version: int = 1) -> Row:
        """A row as JSON, with its ETag."""
        kinds = ENTITIES[name]
        wanted = list(kinds) if names is None else names
        return {"@odata.etag": etag(row["id"], version), **{one: shown(row[one], kinds[one].kind) for one in wanted}}
