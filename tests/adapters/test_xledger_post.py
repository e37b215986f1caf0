"""How a voucher reaches Xledger's import queue, and what its answers mean."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from dev.fakes import XledgerFake
from tests.adapters.vendor import Vendor, batch, voucher_of
from worker import errors
from worker.contract import Call, Line, Outcome, Verdict
from worker.errors import AdapterError, Executed

pytestmark = pytest.mark.anyio


async def posted(xledger: Vendor, *vouchers: Any, call: Call | None = None) -> list[Outcome]:
    return list(await xledger.adapter.post(batch(*vouchers), call or xledger.call()))


async def refused(xledger: Vendor, *vouchers: Any) -> AdapterError:
    with pytest.raises(AdapterError) as raised:
        await posted(xledger, *vouchers)
    return raised.value


def nodes(erp: XledgerFake) -> list[dict[str, Any]]:
    """What the last mutation sent."""
    sent = [one for one in erp.requests if one.operation == "addGLImportItems"][-1]
    return [{"clientId": row["clientId"], **row["node"]} for row in json.loads(sent.body)["variables"]["inputs"]]


async def test_a_line_becomes_a_row_of_the_import_queue(xledger: Vendor, erp: XledgerFake) -> None:
    dimensions = {"Department": "120", "project": "P-17", "GLOBJECT2": "130"}
    voucher = voucher_of(
        Line(1, "7140", Decimal("1250.00"), "Drosje", vat_code="1", dimensions=dimensions),
        Line(2, "2910", Decimal("-1250.00"), "Oppgjør", subledger="E1042"),
        reference="BL0000000000000000XY",
        voucher_number=41000123,
    )
    erp.accountant.add_codes("objects", {"120": "Oslo", "130": "Ungdom"})
    erp.accountant.add_codes("projects", {"P-17": "Sommerleir"})
    erp.accountant.add_codes("tax_rules", {"1": "Inngående 25 %"})
    (outcome,) = await posted(xledger, voucher)
    assert outcome.verdict is Verdict.ACCEPTED
    shared = {
        "transactionSource": {"code": "GL"},
        "trRegNumber": 41000123,
        "postedDate": "2026-03-01",
        "invoiceDate": "2026-02-26",
        "currency": {"code": "NOK"},
        "invoiceNumber": "BL0000000000000000XY",
        "jobLevel": {"dbSubId": 1},
    }
    assert nodes(erp) == [
        {
            **shared,
            "clientId": "BL0000000000000000XY-1",
            "extIdentifier": "BL0000000000000000XY-1",
            "account": {"code": "7140"},
            "amount": "1250.00",
            "invoiceAmount": "1250.00",
            "text": "Drosje",
            "taxRule": {"code": "1"},
            "glObject1": {"code": "120"},
            "glObject2": {"code": "130"},
            "project": {"code": "P-17"},
        },
        {
            **shared,
            "clientId": "BL0000000000000000XY-2",
            "extIdentifier": "BL0000000000000000XY-2",
            "account": {"code": "2910"},
            "amount": "-1250.00",
            "invoiceAmount": "-1250.00",
            "text": "Oppgjør",
            "subledger": {"code": "E1042"},
        },
    ]


async def test_the_settings_name_the_source_the_entity_and_the_dimensions(xledger: Vendor, erp: XledgerFake) -> None:
    erp.accountant.add_codes("objects", {"77": "Lokallag"})
    call = xledger.call(transaction_source="AP", owner_code=erp.owner.code, gl_object_1=None, gl_object_4="Lag")
    await posted(xledger, xledger.voucher(dimensions={"LAG": "77"}), call=call)
    row = nodes(erp)[0]
    assert (row["transactionSource"], row["owner"]) == ({"code": "AP"}, {"code": erp.owner.code})
    assert row["glObject4"] == {"code": "77"}


async def test_a_dimension_that_xledger_has_not_is_rejected_before_anything_is_sent(
    xledger: Vendor, erp: XledgerFake
) -> None:
    unbookable, good = xledger.voucher(dimensions={"SHOE_SIZE": "44"}), xledger.voucher()
    outcomes = {one.reference: one for one in await posted(xledger, unbookable, good)}
    rejected = outcomes[unbookable.reference]
    assert (rejected.verdict, rejected.reason_code) == (Verdict.REJECTED, "dimension_unsupported")
    assert rejected.reason_params == {"dimension": "SHOE_SIZE"}
    assert outcomes[good.reference].verdict is Verdict.ACCEPTED
    assert {row["invoiceNumber"] for row in nodes(erp)} == {good.reference}


async def test_a_foreign_currency_is_rejected_and_nothing_is_sent(xledger: Vendor, erp: XledgerFake) -> None:
    foreign = voucher_of(*xledger.voucher().lines, currency="EUR", posting_date=date(2026, 3, 1))
    (outcome,) = await posted(xledger, foreign)
    assert (outcome.verdict, outcome.reason_code) == (Verdict.REJECTED, "currency_unsupported")
    assert not erp.calls


UNKNOWN_CODES = [
    ({"account": "9999"}, "account_unknown", "9999"),
    ({"subledger": "E9999"}, "subledger_unknown", "E9999"),
    ({"vat_code": "99"}, "vat_code_unknown", "99"),
    ({"dimensions": {"DEPARTMENT": "NOPE"}}, "dimension_unknown", "NOPE"),
    ({"dimensions": {"PROJECT": "NOPE"}}, "dimension_unknown", "NOPE"),
]


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(("wrong", "reason", "code"), UNKNOWN_CODES)
async def test_an_unknown_code_names_the_vouchers_that_use_it(
    xledger: Vendor, erp: XledgerFake, status: int, wrong: dict[str, Any], reason: str, code: str
) -> None:
    erp.error_status = status
    bad, also_bad, good = xledger.voucher(**wrong), xledger.voucher("1.00", "2.00", **wrong), xledger.voucher()
    error = await refused(xledger, bad, good, also_bad)
    assert isinstance(error, errors.Refused)
    assert set(error.culprits) == {bad.reference, also_bad.reference}
    told, params = error.culprits[bad.reference]
    assert (told, params["code"]) == (reason, code)
    assert (error.executed, error.answered, error.is_permanent) == (Executed.UNKNOWN, True, True)


async def test_a_refusal_blames_what_was_not_sent_too(xledger: Vendor) -> None:
    unbookable, bad = xledger.voucher(dimensions={"SHOE_SIZE": "44"}), xledger.voucher(account="9999")
    error = await refused(xledger, unbookable, bad)
    assert isinstance(error, errors.Refused)
    assert {reference: reason for reference, (reason, _params) in error.culprits.items()} == {
        unbookable.reference: "dimension_unsupported",
        bad.reference: "account_unknown",
    }


async def test_an_error_about_a_row_that_names_no_code_of_ours_blames_nobody(xledger: Vendor, erp: XledgerFake) -> None:
    erp.answer_200_with_errors(message="The text is too long.", on=xledger.writes)
    error = await refused(xledger, xledger.voucher())
    assert isinstance(error, errors.Refused)
    assert error.culprits == {}


@pytest.mark.parametrize(
    "message",
    [
        "transactionSource.code: No value matching owner 42365431, code 'GL'.",
        "owner.code: No value matching owner 42365431, code '1000'.",
        "Cannot query field `foo` on type `Query`",
    ],
)
async def test_an_error_about_the_settings_or_the_query_is_not_halved(
    xledger: Vendor, erp: XledgerFake, message: str
) -> None:
    erp.answer_200_with_errors(message=message, on=xledger.writes)
    error = await refused(xledger, xledger.voucher())
    assert type(error) is errors.Rejected
    assert error.executed is Executed.UNKNOWN
