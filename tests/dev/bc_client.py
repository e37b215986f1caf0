"""A plain client for the fake Business Central, and lines for it: it knows nothing of Bilag's adapter."""

from __future__ import annotations

from typing import Any

import httpx

from dev.fakes import Dynamics365Fake
from dev.fakes.dynamics365.entra import SCOPE
from tests.fix_dynamics365 import SECRET

Line = dict[str, Any]
SNAPSHOT = {"Isolation": "snapshot"}
ANY = {"If-Match": "*"}


def line(number: int, document: str, account: str, amount: float, /, **more: Any) -> Line:
    return {
        "lineNumber": number,
        "accountNumber": account,
        "postingDate": "2026-03-01",
        "documentNumber": document,
        "externalDocumentNumber": "41",
        "amount": amount,
        "description": "Drosje",
        **more,
    }


def voucher(document: str, at: int = 10_000, amount: float = 1250.0, /, **more: Any) -> list[Line]:
    """A balanced voucher of two lines; ``more`` goes on the debit line."""
    return [line(at, document, "7140", amount, **more), line(at + 10_000, document, "2910", -amount)]


class BcClient:
    """Somebody who talks OData to the fake."""

    def __init__(self, bc: Dynamics365Fake, secret: str = SECRET, company: str | None = None) -> None:
        self.bc, self.secret = bc, secret
        self.company = company or bc.company.code
        self.token = ""
        self._http = httpx.Client(timeout=5, verify=False)  # noqa: S501  # plain http; loading certificates takes longer than a test

    def sign_in(self, **other: str) -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.bc.client_id(self.secret),
            "client_secret": self.secret,
            "scope": SCOPE,
            **other,
        }
        answer = self._http.post(self.bc.token_url, data=form)
        self.token = answer.json().get("access_token", self.token)
        return answer

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
    ) -> httpx.Response:
        """A request below the company, or below the API's root for a path that begins with a slash."""
        if not self.token:
            self.sign_in()
        url = f"{self.bc.url}{path}" if path.startswith("/") else f"{self.bc.url}/companies({self.company})/{path}"
        sent = {"Authorization": f"Bearer {self.token}", "Accept": "application/json", **(headers or {})}
        content = {} if body is None else {"json": body}
        return self._http.request(method, url, headers=sent, params=query, **content)

    def raw(self, method: str, path: str, content: bytes, kind: str) -> httpx.Response:
        url = f"{self.bc.url}/companies({self.company})/{path}"
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": kind}
        return self._http.request(method, url, headers=headers, content=content)

    def ask(self, path: str, **params: str) -> list[dict[str, Any]]:
        """The rows of a set. Fails when it is refused. Options are given without their dollar sign."""
        answer = self.send("GET", path, query={f"${name}": value for name, value in params.items()})
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["value"]
        return found

    def made(self, path: str, body: Any) -> dict[str, Any]:
        answer = self.send("POST", path, body)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def refused(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str, str]:
        """Status, code and message of a refusal; the correlation id is checked and left out."""
        answer = self.send(method, path, body, headers)
        error = answer.json()["error"]
        message, found, _ = error["message"].partition("  CorrelationId:  ")
        assert found
        return answer.status_code, error["code"], message

    def journal(self, code: str = "EXQWMKZTRB") -> str:
        """A new journal's id."""
        return str(self.made("journals", {"code": code, "displayName": "Utlegg"})["id"])

    def batch(
        self, *operations: dict[str, Any], headers: dict[str, str] | None = None, numbered: bool = True
    ) -> httpx.Response:
        named = [{"id": str(number), **one} for number, one in enumerate(operations, start=1)]
        return self.send("POST", "/$batch", {"requests": named if numbered else list(operations)}, headers)

    def adding(self, journal: str, *lines: Line) -> list[dict[str, Any]]:
        """The operations that write these lines."""
        url = f"companies({self.company})/journals({journal})/journalLines"
        headers = {"Content-Type": "application/json"}
        return [{"method": "POST", "url": url, "headers": headers, "body": one} for one in lines]

    def write(self, journal: str, *lines: Line) -> list[dict[str, Any]]:
        """Write the lines in one snapshot; the responses. Fails when one is refused."""
        answer = self.batch(*self.adding(journal, *lines), headers=SNAPSHOT)
        responses: list[dict[str, Any]] = answer.json()["responses"]
        assert {one["status"] for one in responses} == {201}, responses
        return responses

    def post(self, journal: str) -> httpx.Response:
        return self.send("POST", f"journals({journal})/Microsoft.NAV.post")

    def book(self, *documents: str, code: str = "EXQWMKZTRB") -> str:
        """Book a voucher per document in a journal of its own; the journal's id."""
        journal = self.journal(code)
        self.write(journal, *(one for n, name in enumerate(documents) for one in voucher(name, 10_000 + n * 20_000)))
        assert self.post(journal).status_code == 204
        return journal

    def lines(self, journal: str, **params: str) -> list[dict[str, Any]]:
        return self.ask(f"journals({journal})/journalLines", **params)

    def entries(self, document: str) -> list[dict[str, Any]]:
        return self.ask("generalLedgerEntries", filter=f"documentNumber eq '{document}'")

    def timeout(self, seconds: float) -> None:
        self._http.timeout = httpx.Timeout(seconds)

    def close(self) -> None:
        self._http.close()
