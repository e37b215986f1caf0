"""How Business Central is spoken to: OData v4 with JSON, JSON ``$batch``, and errors that come in any status.

What is known, and from where (the marks are explained in ``dynamics365.py``):

* A company is in the path [MS]; ``$batch`` is above it, at most 100 operations [MS], ``Accept: application/json`` or
  the answer is multipart [3P]; ``Isolation: snapshot`` makes it one transaction [MS].
* Error texts are in the language that ``Accept-Language`` asks for [MS].
* ``Data-Access-Intent: ReadWrite`` keeps a read away from a replica that lags behind [MS, INF].
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

from worker.adapters._dynamics365_errors import Complaint, Part, error_of, matched
from worker.adapters._dynamics365_oauth import ClientCredentials
from worker.adapters._dynamics365_settings import Dynamics365Settings
from worker.contract import Call
from worker.errors import AdapterError, Executed
from worker.faults import Fault
from worker.http import Answer

MOST_OPERATIONS = 100
"""In one ``$batch`` [MS]."""
MOST_AT_ONCE = 5
"""Requests that Business Central works on at once for one user [MS]."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One request inside a batch. ``path`` is relative to the company."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    if_match: bool = False


class Session:
    """One invocation's way to one company of Business Central. Made by :meth:`open`."""

    def __init__(self, call: Call, auth: ClientCredentials) -> None:
        self.call, self._auth = call, auth
        self.settings = cast("Dynamics365Settings", call.settings)
        self._base = self.settings.base_url.rstrip("/")
        self._company = f"companies({self.settings.company_id})"
        self._turn = asyncio.Semaphore(MOST_AT_ONCE)

    @classmethod
    async def open(cls, call: Call) -> Session:
        """With an access token in hand. Raises AdapterError or CredentialError: nothing was sent."""
        auth = ClientCredentials(call)
        await auth.ready()
        return cls(call, auth)

    async def read(self, path: str, *, of_company: bool = True) -> Mapping[str, Any]:
        """One thing, or one page of things. Raises AdapterError."""
        return self._good(await self._send("GET", path, writes=False, of_company=of_company))

    async def rows(self, path: str) -> list[Mapping[str, Any]]:
        """All rows of a collection, page by page. Raises AdapterError."""
        return await self.rest_of(await self.read(path))

    async def rest_of(self, page: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The rows of a page that was read, and of those that follow it."""
        found: list[Mapping[str, Any]] = []
        while True:
            found += [row for row in page.get("value") or () if isinstance(row, Mapping)]
            link = page.get("@odata.nextLink")
            if not link:
                return found
            page = self._good(await self._send("GET", self._next(str(link)), writes=False, of_company=False))

    async def write(self, method: str, path: str, body: Any = None) -> Answer:
        """One write, its answer as it came. Raises AdapterError when there is none."""
        return await self._send(method, path, writes=True, body=body)

    async def batch(self, operations: Sequence[Operation], *, writes: bool) -> list[Part | None]:
        """The answers to these operations in their order; ``None`` for one that was not answered.

        Writes are one transaction. Raises AdapterError when the batch as a whole was not answered well.
        """
        requests = [self._inner(str(number), operation) for number, operation in enumerate(operations, start=1)]
        headers = {"Isolation": "snapshot"} if writes else {}
        answer = await self._send(
            "POST", "$batch", writes=writes, body={"requests": requests}, of_company=False, headers=headers
        )
        body = answer.json()
        complaint = Complaint.of(answer.status, body)
        if complaint is not None:
            raise error_of(answer, complaint)
        return matched(answer, body, len(operations))

    async def ask(self, questions: Sequence[Operation]) -> list[Part | None]:
        """The answers to reads, in as few requests as they fit in."""
        parts: list[Part | None] = []
        for start in range(0, len(questions), MOST_OPERATIONS):
            parts += await self.batch(questions[start : start + MOST_OPERATIONS], writes=False)
        return parts

    def _inner(self, number: str, operation: Operation) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Accept-Language": "en-US"}
        if operation.if_match:
            headers["If-Match"] = "*"
        if operation.method == "GET":
            headers["Data-Access-Intent"] = "ReadWrite"
        inner = {"id": number, "method": operation.method, "url": f"{self._company}/{_encoded(operation.path)}"}
        return {**inner, "headers": headers, **({"body": operation.body} if operation.body is not None else {})}

    async def _send(
        self,
        method: str,
        path: str,
        *,
        writes: bool,
        body: Any = None,
        of_company: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        company = f"{self._company}/" if of_company else ""
        sent = {"Accept": "application/json", "Accept-Language": "en-US", **(headers or {})}
        if method in ("PATCH", "DELETE"):
            sent["If-Match"] = "*"
        if not writes:
            sent["Data-Access-Intent"] = "ReadWrite"
        async with self._turn:
            url = f"{self._base}/{company}{_encoded(path)}"
            return await self.call.http.send(method, url, writes=writes, headers=sent, body=body, auth=self._auth)

    def _next(self, link: str) -> str:
        """The path of a following page. A link that leads elsewhere would take the token along."""
        if not link.startswith(f"{self._base}/"):
            raise AdapterError("Business Central's next page is somewhere else.", executed=Executed.NO)
        return link.removeprefix(f"{self._base}/")

    @staticmethod
    def _good(answer: Answer) -> Mapping[str, Any]:
        body = answer.json()
        complaint = Complaint.of(answer.status, body)
        if complaint is not None:
            raise error_of(answer, complaint)
        if not isinstance(body, Mapping):
            raise answer.failure(Fault.NOT_JSON, "the answer is not an OData answer")
        return body


def _encoded(path: str) -> str:
    """A path with its query as it travels. Literals in filters are ours: letters, digits, hyphens and quotes."""
    return quote(path, safe="$=&,()'/:?@!*;%+.-_~")
