"""What the tests of the Business Central adapter say of the other side."""

from __future__ import annotations

import json
from typing import Any, cast

from dev.fakes import Dynamics365Fake
from dev.fakes.dynamics365.company import Journal
from tests.adapters.vendor import Vendor, batch
from worker.contract import Batch, Finding, Outcome, Sending, Voucher

CREATE, LINES, POST, LEDGER = "POST journals", "$batch", "post", "GET $batch"


def bc_of(vendor: Vendor) -> Dynamics365Fake:
    return cast("Dynamics365Fake", vendor.fake)


def journals(vendor: Vendor) -> list[Journal]:
    return list(bc_of(vendor).company.journals.values())


def standing(vendor: Vendor) -> list[str]:
    """The document numbers of the lines that wait in journals."""
    lines = (line for journal in journals(vendor) for line in journal.in_order())
    return sorted(line.values["documentNumber"] for line in lines if not line.is_blank)


def post_everything(vendor: Vendor) -> None:
    """The accountant posts whatever stands in any journal."""
    for journal in journals(vendor):
        if any(not line.is_blank for line in journal.in_order()):
            bc_of(vendor).accountant.post_journal(journal.code)


async def post(vendor: Vendor, *vouchers: Voucher, **facts: Any) -> dict[str, Outcome]:
    asked = batch(*vouchers)
    vehicle = asked.sendings[-1].vehicle
    sendings = tuple(Sending(**{**_fields(sending), "vehicle": vehicle}) for sending in asked.sendings)
    outcomes = await vendor.adapter.post(Batch(asked.correlation_id, sendings), vendor.call(**facts))
    assert sorted(outcome.reference for outcome in outcomes) == sorted(voucher.reference for voucher in vouchers)
    return {outcome.reference: outcome for outcome in outcomes}


async def look(vendor: Vendor, *vouchers: Voucher, how: str = "find", **facts: Any) -> list[Finding]:
    """A look-up of these vouchers; ``facts`` go on each sending, settings into the call by ``settings``."""
    settings, only_reads = facts.pop("settings", {}), facts.pop("only_reads", False)
    asked = batch(*vouchers)
    sendings = tuple(Sending(**{**_fields(sending), **facts}) for sending in asked.sendings)
    ask = getattr(vendor.adapter, how)
    return list(await ask(Batch(asked.correlation_id, sendings, only_reads), vendor.call(**settings)))


def sent_to(vendor: Vendor, operation: str) -> list[dict[str, Any]]:
    """The bodies of the requests for this."""
    return [json.loads(one.body or b"{}") for one in vendor.fake.requests if one.operation == operation]


def _fields(sending: Sending) -> dict[str, Any]:
    return {name: getattr(sending, name) for name in Sending.__slots__}
