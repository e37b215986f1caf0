"""A plain client for the fake Xledger, and vouchers for it: the fakes' tests know nothing of Bilag's adapter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from dev.fakes import XledgerFake

ADD = """mutation($in:[AddGLImportItemsInput!]!){
  addGLImportItems(inputs:$in){ edges{ clientId node{ dbId } } } }"""

Line = dict[str, Any]


def line(reference: str, number: int, code: str, amount: str, /, **more: Any) -> Line:
    """One line, shaped as the adapter shapes it."""
    node = {
        "trRegNumber": number,
        "transactionSource": {"code": "GL"},
        "postedDate": "2026-03-01",
        "account": {"code": code},
        "amount": amount,
        "invoiceAmount": amount,
        "currency": {"code": "NOK"},
        "text": "Drosje",
        "invoiceNumber": reference,
        "extIdentifier": reference,
        "jobLevel": {"dbSubId": 1},
    }
    return {"clientId": f"{reference}/{code}", "node": {**node, **more}}


def voucher(reference: str, number: int, amount: str = "1250.00", /, **more: Any) -> list[Line]:
    """A balanced voucher of two lines; ``more`` goes on the debit line."""
    return [line(reference, number, "7140", amount, **more), line(reference, number, "2910", f"-{amount}")]


class Client:
    """Somebody who talks GraphQL to the fake."""

    def __init__(self, erp: XledgerFake) -> None:
        self.erp = erp
        self.token = "test-token"
        self._http = httpx.Client(timeout=5, verify=False)  # noqa: S501  # plain http; loading certificates takes longer than a test

    def send(self, query: str, variables: dict[str, Any] | None = None, *, timeout: float = 5) -> httpx.Response:
        headers = {"authorization": f"token {self.token}", "x-correlation-id": "c-1"}
        body = {"query": query, "variables": variables}
        return self._http.post(self.erp.url, json=body, headers=headers, timeout=timeout)

    def ask(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The data. Fails when there are errors."""
        answer: dict[str, Any] = self.send(query, variables).json()
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    def refused(self, query: str, variables: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """The errors. Fails when there are none."""
        errors: list[dict[str, Any]] = self.send(query, variables).json()["errors"]
        return errors

    def add(self, *lines: Line) -> dict[str, Any]:
        return self.ask(ADD, {"in": list(lines)})

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def client(erp: XledgerFake) -> Iterator[Client]:
    asking = Client(erp)
    yield asking
    asking.close()
