"""What a look-up in Xledger makes of the queue, the ledger and the import errors, also while rows are moving."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from dev.fakes import XledgerFake
from dev.fakes.xledger import Owner
from tests.adapters.vendor import Vendor, batch
from worker import errors
from worker.adapters import _xledger_lookup
from worker.contract import Batch, Finding, Presence, Voucher

pytestmark = pytest.mark.anyio


async def sent(vendor: Vendor, *vouchers: Voucher) -> Batch:
    sending = batch(*vouchers)
    await vendor.adapter.post(sending, vendor.call())
    return sending


async def look(vendor: Vendor, *vouchers: Voucher) -> Finding:
    """What is found of the first of these vouchers."""
    return (await vendor.adapter.find(batch(*vouchers), vendor.call()))[0]


async def test_one_request_is_enough_for_vouchers_that_are_posted(xledger: Vendor, erp: XledgerFake) -> None:
    vouchers = [xledger.voucher("10.00", "20.00") for _ in range(50)]
    sending = await sent(xledger, *vouchers)
    erp.run_import()
    erp.calls.clear()
    findings = await xledger.adapter.confirm(sending, xledger.call())
    assert all(one.presence is Presence.WHOLE and one.posted for one in findings)
    assert sum(erp.calls.values()) == 1
    assert {one.external_id for one in findings} == {str(booked.number) for booked in erp.ledger.vouchers()}


async def test_absence_is_believed_only_after_a_look_at_the_ledger_that_came_later(
    xledger: Vendor, erp: XledgerFake
) -> None:
    assert (await look(xledger, xledger.voucher())).presence is Presence.ABSENT
    assert list(erp.calls) == ["glImportItems+journalEntries", "journalEntries"]


@pytest.mark.parametrize("on", ["glImportItems", "journalEntries"])
async def test_a_voucher_that_is_imported_while_we_look_is_found_whole(
    xledger: Vendor, erp: XledgerFake, on: str
) -> None:
    voucher, absent = xledger.voucher("10.00", "20.00"), xledger.voucher()
    await sent(xledger, voucher)
    erp.import_between_reads(on=on)
    finding = await look(xledger, voucher, absent)
    assert (finding.presence, finding.posted) == (Presence.WHOLE, True)


async def test_a_voucher_that_is_imported_between_two_requests_is_found_whole(
    xledger: Vendor, erp: XledgerFake
) -> None:
    """Both places look empty: the ledger was read before the import, the queue after it."""
    voucher = xledger.voucher()
    await sent(xledger, voucher)
    erp.run_import()
    empty: dict[str, Any] = {"queue": {"edges": None}, "ledger": {"edges": None}, "__typename": "Query"}
    erp.answer_next(200, {"data": empty}, on="glImportItems")
    assert (await look(xledger, voucher)).presence is Presence.WHOLE


async def test_a_voucher_with_a_line_missing_is_partial(xledger: Vendor, erp: XledgerFake) -> None:
    voucher = xledger.voucher("10.00", "20.00")
    await sent(xledger, voucher)
    erp.accountant.delete_queued(voucher.reference, lines=1)
    finding = await look(xledger, voucher)
    assert (finding.presence, finding.message) == (Presence.PARTIAL, "Xledger holds 2 of the voucher's 3 lines.")


@pytest.mark.parametrize("imports", [0, 1, 2], ids=["both queued", "one of each", "both posted"])
async def test_a_voucher_that_is_there_twice_is_neither_whole_nor_absent(
    xledger: Vendor, erp: XledgerFake, imports: int
) -> None:
    voucher = xledger.voucher("10.00", "20.00")
    for turn in range(2):
        await sent(xledger, voucher)
        if turn < imports:
            erp.run_import()
    finding = await look(xledger, voucher)
    assert (finding.presence, finding.message) == (Presence.UNKNOWN, "Xledger holds the voucher more than once.")


async def test_two_copies_that_an_import_merged_are_seen_as_two(xledger: Vendor, erp: XledgerFake) -> None:
    voucher = xledger.voucher()
    await sent(xledger, voucher)
    await sent(xledger, voucher)
    erp.run_import()
    assert (await look(xledger, voucher)).presence is Presence.UNKNOWN


async def test_a_voucher_that_an_accountant_deleted_is_absent(xledger: Vendor, erp: XledgerFake) -> None:
    voucher = xledger.voucher()
    await sent(xledger, voucher)
    erp.run_import()
    erp.accountant.delete_posted(voucher.reference)
    assert (await look(xledger, voucher)).presence is Presence.ABSENT


async def test_an_import_error_is_told_while_the_copy_is_there(xledger: Vendor, erp: XledgerFake) -> None:
    voucher, other = xledger.voucher(), xledger.voucher()
    await sent(xledger, voucher)
    erp.accountant.close_period("2026-12-31")
    erp.run_import()
    refused = await look(xledger, voucher, other)
    assert (refused.presence, refused.posted) == (Presence.WHOLE, False)
    assert "period" in (refused.import_error or "")
    erp.accountant.close_period(None)
    erp.run_import()
    posted = await look(xledger, voucher)
    assert (posted.posted, posted.import_error) == (True, None)


async def test_only_what_was_changed_since_the_sending_is_asked_for(xledger: Vendor, erp: XledgerFake) -> None:
    sending = batch(xledger.voucher(), sent_at=datetime(2026, 3, 1, 12, tzinfo=UTC))
    await xledger.adapter.find(sending, xledger.call())
    query = json.loads(erp.requests[0].body)["query"]
    assert query.count('filter: {modifiedAt_gte: "2026-03-01T12:45:00"}') == 2


@pytest.mark.parametrize("empty", ["edges_null", "connection_null", "data_null", "list"])
async def test_nothing_is_nothing_in_whichever_way_xledger_says_it(
    xledger: Vendor, erp: XledgerFake, empty: str
) -> None:
    erp.empty = empty
    erp.calls.clear()
    assert (await look(xledger, xledger.voucher())).presence is Presence.ABSENT
    assert sum(erp.calls.values()) == (4 if empty == "data_null" else 2)


@pytest.mark.parametrize(
    "data",
    [None, {}, {"queue": None, "ledger": None}, {"__typename": "Query"}],
    ids=["null", "empty", "no type", "only its type"],
)
async def test_an_answer_without_what_was_asked_for_proves_no_absence(
    xledger: Vendor, erp: XledgerFake, data: Any
) -> None:
    voucher = xledger.voucher()
    await sent(xledger, voucher)
    erp.answer_next(200, {"data": data}, on="glImportItems")
    assert (await look(xledger, voucher)).presence is Presence.WHOLE
    erp.answer_next(200, {"data": data}, on="glImportItems", times=2)
    with pytest.raises(errors.Malformed):
        await look(xledger, voucher)


@pytest.mark.parametrize("form", ["string", "number"])
async def test_every_page_is_read(
    xledger: Vendor, erp: XledgerFake, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(_xledger_lookup, "PAGE", 7)
    erp.db_ids = form
    vouchers = [xledger.voucher("10.00", "20.00") for _ in range(20)]
    sending = await sent(xledger, *vouchers)
    findings = await xledger.adapter.find(sending, xledger.call())
    assert {one.presence for one in findings} == {Presence.WHOLE}
    erp.run_import()
    findings = await xledger.adapter.find(sending, xledger.call())
    assert all(one.posted for one in findings)


async def test_what_could_not_be_read_to_its_end_proves_no_absence(
    xledger: Vendor, erp: XledgerFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_xledger_lookup, "PAGE", 3)
    monkeypatch.setattr(_xledger_lookup, "MOST_PAGES", 2)
    await sent(xledger, *(xledger.voucher("10.00", "20.00") for _ in range(5)))
    assert (await look(xledger, xledger.voucher())).presence is Presence.UNKNOWN


@pytest.mark.parametrize("info", [None, {}, {"hasNextPage": None}], ids=["null", "empty", "next is null"])
async def test_a_page_that_does_not_say_whether_it_is_the_last_is_followed_by_another_look(
    xledger: Vendor, erp: XledgerFake, info: Any
) -> None:
    """Xledger may give fewer rows than it was asked for, so that a short page is not the last one."""
    voucher = xledger.voucher()
    await sent(xledger, voucher)
    strange = {"cursor": "1", "node": {"dbId": "1", "extIdentifier": "somebody-1", "invoiceNumber": "", "amount": "1"}}
    data = {"queue": {"pageInfo": info, "edges": [strange]}, "ledger": None, "__typename": "Query"}
    erp.answer_next(200, {"data": data}, on="glImportItems")
    assert (await look(xledger, voucher)).presence is Presence.WHOLE


@pytest.mark.parametrize("edge", [None, {"cursor": "1", "node": None}], ids=["no edge", "no node"])
async def test_a_row_that_cannot_be_read_may_be_ours(xledger: Vendor, erp: XledgerFake, edge: Any) -> None:
    unreadable = {"pageInfo": {"hasNextPage": False}, "edges": [edge]}
    erp.answer_next(200, {"data": {"queue": unreadable, "ledger": None, "__typename": "Query"}}, on="glImportItems")
    assert (await look(xledger, xledger.voucher())).presence is Presence.UNKNOWN


async def test_a_page_that_does_not_say_where_the_next_begins_is_an_error(xledger: Vendor, erp: XledgerFake) -> None:
    more = {"pageInfo": {"hasNextPage": True}, "edges": None}
    erp.answer_next(200, {"data": {"queue": more, "ledger": None, "__typename": "Query"}}, on="glImportItems")
    with pytest.raises(errors.Malformed):
        await look(xledger, xledger.voucher())


async def test_a_voucher_booked_in_an_entity_below_the_tokens_own_is_found(xledger: Vendor, erp: XledgerFake) -> None:
    erp.owner.children.append(Owner("Lokallag", "1001", 42_365_999))
    voucher = xledger.voucher()
    await xledger.adapter.post(batch(voucher), xledger.call(owner_code="1001"))
    for _place in ("queue", "ledger"):
        (finding,) = await xledger.adapter.find(batch(voucher), xledger.call(owner_code="1001"))
        assert finding.presence is Presence.WHOLE
        erp.run_import()
    assert erp.ledger.one(voucher.reference).owner == "1001"
