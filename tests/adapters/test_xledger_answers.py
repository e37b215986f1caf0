"""What the answer to a mutation confirms, voucher by voucher."""

from __future__ import annotations

from typing import Any

import pytest

from dev.fakes import XledgerFake
from tests.adapters.vendor import Vendor, batch
from worker.contract import Outcome, Verdict, Voucher

pytestmark = pytest.mark.anyio


async def posted(vendor: Vendor, *vouchers: Voucher) -> list[Outcome]:
    return list(await vendor.adapter.post(batch(*vouchers), vendor.call()))


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        ({"data": None}, Verdict.UNKNOWN),
        ({"data": {"addGLImportItems": None}}, Verdict.UNKNOWN),
        ({"data": {"addGLImportItems": {"edges": None}}}, Verdict.UNKNOWN),
        ({"data": {"addGLImportItems": {"edges": [None, {"clientId": "x"}]}}}, Verdict.UNKNOWN),
    ],
    ids=["no data", "no result", "no edges", "no ids"],
)
async def test_an_answer_that_confirms_nothing_leaves_the_voucher_in_doubt(
    xledger: Vendor, erp: XledgerFake, data: Any, verdict: Verdict
) -> None:
    erp.answer_next(200, data, on=xledger.writes)
    (outcome,) = await posted(xledger, xledger.voucher())
    assert outcome.verdict is verdict


def edge(client_id: str, db_id: int | str) -> dict[str, Any]:
    return {"clientId": client_id, "node": {"dbId": db_id}}


@pytest.mark.parametrize("spoil", ["a row missing", "a row of somebody else", "two ids for one row"])
async def test_only_a_voucher_with_every_row_confirmed_is_accepted(
    xledger: Vendor, erp: XledgerFake, spoil: str
) -> None:
    whole, other = xledger.voucher(), xledger.voucher()
    edges = [edge(f"{voucher.reference}-{no}", f"{no}7") for voucher in (whole, other) for no in (1, 2)]
    spoilt = {
        "a row missing": edges[:-1],
        "a row of somebody else": [*edges, edge("BLSOMEBODY-1", 99)],
        "two ids for one row": [*edges, edge(f"{other.reference}-2", 99)],
    }[spoil]
    erp.answer_next(200, {"data": {"addGLImportItems": {"edges": spoilt}}}, on=xledger.writes)
    outcomes = {one.reference: one.verdict for one in await posted(xledger, whole, other)}
    assert outcomes[other.reference] is Verdict.UNKNOWN
    assert outcomes[whole.reference] is (Verdict.ACCEPTED if spoil == "a row missing" else Verdict.UNKNOWN)


@pytest.mark.parametrize("form", ["string", "number"])
async def test_an_id_may_be_a_number_or_a_string(xledger: Vendor, erp: XledgerFake, form: str) -> None:
    erp.db_ids = form
    (outcome,) = await posted(xledger, xledger.voucher())
    assert (outcome.external_id or "").isdecimal()
