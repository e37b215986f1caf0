"""Looking in Business Central: what may be on its way is made impossible first, and nothing of others is touched."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from dev.fakes.faults import Hold
from tests.adapters.bc import CREATE, LEDGER, LINES, POST, bc_of, journals, look, post, post_everything, standing
from tests.adapters.contract_suite import failed_post
from tests.adapters.vendor import QUICK, Vendor, batch
from worker.adapters._dynamics365_journal import CLOSED
from worker.contract import Batch, Presence, Verdict
from worker.errors import AdapterError, Executed

pytestmark = pytest.mark.anyio
STEPS = (CREATE, LINES, POST)


@pytest.fixture
def vendor(dynamics365: Vendor) -> Vendor:
    return dynamics365


@pytest.mark.parametrize("step", STEPS)
async def test_a_request_held_inside_and_executed_after_the_look_up_does_nothing(vendor: Vendor, step: str) -> None:
    voucher = vendor.voucher()
    held = vendor.fake.hold_next(on=step)
    await failed_post(vendor, voucher, timeout=QUICK)
    (before,) = await look(vendor, voucher)
    assert (before.presence, before.revoked) == (Presence.ABSENT, True)
    await released(held)
    post_everything(vendor)
    assert (standing(vendor), vendor.fake.ledger.vouchers()) == ([], [])
    (after,) = await look(vendor, voucher)
    assert after.presence is Presence.ABSENT


@pytest.mark.parametrize("step", STEPS)
async def test_a_worker_that_goes_on_after_the_look_up_gets_nowhere(vendor: Vendor, step: str) -> None:
    """It was suspended inside this step, and its clock stood still: nothing but Business Central stops it."""
    voucher = vendor.voucher()
    held = vendor.fake.hold_next(on=step)
    sending = asyncio.create_task(vendor.adapter.post(batch(voucher), vendor.call()))
    await held.until_arrived()
    (before,) = await look(vendor, voucher)
    assert before.revoked
    held.release()
    with pytest.raises(AdapterError):
        await sending
    post_everything(vendor)
    assert vendor.fake.ledger.vouchers() == []


async def test_a_retried_request_that_finds_its_own_code_does_not_go_on(vendor: Vendor) -> None:
    voucher = vendor.voucher()
    vendor.fake.commit_then_status(502, on=CREATE)
    await failed_post(vendor, voucher)
    error = await failed_post(vendor, voucher)
    assert (error.executed, error.is_permanent) == (Executed.UNKNOWN, False)
    assert "exists already" in error.message
    (finding,) = await look(vendor, voucher)
    assert finding.revoked
    again = await failed_post(vendor, voucher)
    assert "exists already" in again.message
    assert [journal.name for journal in journals(vendor)] == [CLOSED]


async def test_what_was_posted_before_it_was_closed_is_found(vendor: Vendor) -> None:
    vouchers = [vendor.voucher(), vendor.voucher("1.00", "2.00")]
    vendor.fake.commit_then_reset(on=POST)
    await failed_post(vendor, *vouchers)
    findings = await look(vendor, *vouchers)
    assert [(finding.presence, finding.posted) for finding in findings] == [(Presence.WHOLE, True)] * 2
    assert all(finding.external_id for finding in findings)


async def test_lines_that_somebody_posts_before_it_is_closed_are_found(vendor: Vendor) -> None:
    voucher = vendor.voucher()
    vendor.fake.cut_next(on=POST)
    await failed_post(vendor, voucher)
    post_everything(vendor)
    (finding,) = await look(vendor, voucher)
    assert (finding.presence, finding.posted) == (Presence.WHOLE, True)


async def test_a_closed_journal_is_closed_once(vendor: Vendor) -> None:
    voucher = vendor.voucher()
    for _ in range(3):
        (finding,) = await look(vendor, voucher)
        assert finding.revoked
    assert len(journals(vendor)) == 1
    assert vendor.fake.calls[CREATE] == 1


async def test_making_it_arrives_between_the_look_and_the_closing(vendor: Vendor) -> None:
    """The code is taken by the very request that was held: its journal is deleted, and the code taken then."""
    voucher = vendor.voucher()
    held = vendor.fake.hold_next(on=CREATE)
    await failed_post(vendor, voucher, timeout=QUICK)
    closing = vendor.fake.hold_next(on=CREATE)
    looking = asyncio.create_task(look(vendor, voucher))
    await closing.until_arrived()
    await released(held)
    closing.release()
    ((finding,),) = (await looking,)
    assert finding.revoked
    assert [journal.name for journal in journals(vendor)] == [CLOSED]


@pytest.mark.parametrize("operation", ["GET journals", "GET journalLines", "DELETE journals", CREATE, LEDGER])
async def test_a_look_up_that_fails_at_any_step_proves_nothing(vendor: Vendor, operation: str) -> None:
    voucher = vendor.voucher()
    vendor.fake.cut_next(on=POST)
    await failed_post(vendor, voucher)
    bc_of(vendor).refuse_next("Internal_ServerError", status=500, on=operation)
    with pytest.raises(AdapterError):
        await look(vendor, voucher)
    (finding,) = await look(vendor, voucher)
    assert finding.revoked


async def test_a_look_up_that_may_not_delete_proves_nothing(vendor: Vendor) -> None:
    voucher = vendor.voucher()
    vendor.fake.cut_next(on=POST)
    await failed_post(vendor, voucher)
    bc_of(vendor).refuse_next("Authorization_RequestDenied", status=403, on="DELETE journals")
    with pytest.raises(AdapterError):
        await look(vendor, voucher)
    assert standing(vendor) == [voucher.reference] * 2


async def test_lines_of_others_are_never_deleted(vendor: Vendor) -> None:
    voucher = vendor.voucher()
    vendor.fake.cut_next(on=POST)
    await failed_post(vendor, voucher)
    (journal,) = journals(vendor)
    bc_of(vendor).accountant.add_line(journal.code, "KARI-1", "7140", "5.00")
    (finding,) = await look(vendor, voucher)
    assert (finding.presence, finding.revoked) == (Presence.UNKNOWN, False)
    assert finding.message is not None
    assert journal.code in finding.message
    assert "KARI-1" in standing(vendor)


async def test_a_confirmation_touches_nothing(vendor: Vendor) -> None:
    voucher = vendor.voucher()
    outcomes = await post(vendor, voucher, post=False)
    assert outcomes[voucher.reference].verdict is Verdict.ACCEPTED
    for _ in range(2):
        (finding,) = await look(vendor, voucher, how="confirm", settings={"post": False})
        assert (finding.presence, finding.posted) == (Presence.WHOLE, False)
    post_everything(vendor)
    (finding,) = await look(vendor, voucher, how="confirm", settings={"post": False})
    assert (finding.presence, finding.posted) == (Presence.WHOLE, True)
    assert journals(vendor) == []


async def test_a_reconciliation_does_not_even_tidy_up(vendor: Vendor) -> None:
    voucher = vendor.voucher()
    await post(vendor, voucher, post=False)
    post_everything(vendor)
    (finding,) = await look(vendor, voucher, how="confirm", only_reads=True, settings={"post": False})
    assert (finding.presence, finding.posted) == (Presence.WHOLE, True)
    assert len(journals(vendor)) == 1


async def test_a_reconciliation_of_what_stands_asks_the_ledger_only(vendor: Vendor) -> None:
    booked = [vendor.voucher() for _ in range(3)]
    for voucher in booked:
        await post(vendor, voucher)
    vendor.fake.calls.clear()
    gone = vendor.voucher()
    findings = await look(vendor, *booked, how="confirm", only_reads=True)
    assert {(finding.presence, finding.posted) for finding in findings} == {(Presence.WHOLE, True)}
    assert vendor.fake.calls[LEDGER] == 1
    assert vendor.fake.calls["GET journals"] == 0
    *_, absent = await look(vendor, *booked, gone, how="confirm", only_reads=True)
    assert absent.presence is Presence.ABSENT


async def test_a_look_for_one_voucher_leaves_those_that_were_accepted_beside_it(vendor: Vendor) -> None:
    one, other = vendor.voucher(), vendor.voucher()
    await post(vendor, one, other, post=False)
    bc_of(vendor).accountant.delete_lines(one.reference)
    (finding,) = await look(vendor, one, revocable=False)
    assert (finding.presence, finding.revoked) == (Presence.ABSENT, False)
    assert standing(vendor) == [other.reference] * 2


async def test_accepted_vouchers_that_somebody_deleted_are_not_there(vendor: Vendor) -> None:
    voucher = vendor.voucher()
    await post(vendor, voucher, post=False)
    bc_of(vendor).accountant.delete_lines(voucher.reference, most=1)
    (partial,) = await look(vendor, voucher, how="confirm")
    assert partial.presence is Presence.PARTIAL
    bc_of(vendor).accountant.delete_lines(voucher.reference)
    (absent,) = await look(vendor, voucher, how="confirm")
    assert (absent.presence, absent.revoked) == (Presence.ABSENT, False)


@pytest.mark.parametrize("posts", [True, False])
async def test_what_a_forgotten_life_left_in_a_journal_is_seen_and_not_touched(vendor: Vendor, *, posts: bool) -> None:
    """After a restore nobody knows the journal's code; a person may be about to post it."""
    voucher = vendor.voucher()
    await post(vendor, voucher, post=False)
    (finding,) = await look(vendor, voucher, vehicle=None, settings={"post": posts})
    assert finding.presence is (Presence.UNKNOWN if posts else Presence.WHOLE)
    assert finding.revoked is False
    if posts:
        assert finding.message is not None
        assert journals(vendor)[0].code in finding.message
    post_everything(vendor)
    (finding,) = await look(vendor, voucher, vehicle=None)
    assert (finding.presence, finding.posted) == (Presence.WHOLE, True)
    assert vendor.fake.ledger.doubled() == {}


@pytest.mark.parametrize("how", ["find", "confirm"])
async def test_what_waits_in_a_journal_that_people_renamed_is_seen(vendor: Vendor, how: str) -> None:
    voucher = vendor.voucher()
    await post(vendor, voucher, post=False)
    journals(vendor)[0].code = "KARIS"
    (finding,) = await look(vendor, voucher, how=how, settings={"post": False})
    assert (finding.presence, finding.posted) == (Presence.WHOLE, False)
    assert standing(vendor) == [voucher.reference] * 2
    (finding,) = await look(vendor, voucher, how="confirm", settings={"post": False})
    assert finding.presence is Presence.WHOLE
    bc_of(vendor).accountant.post_journal("KARIS")
    (finding,) = await look(vendor, voucher, how="confirm", settings={"post": False})
    assert (finding.presence, finding.posted) == (Presence.WHOLE, True)
    assert vendor.fake.ledger.doubled() == {}


@pytest.mark.parametrize("forgotten_first", [True, False])
async def test_one_look_for_what_was_forgotten_and_for_what_is_closed(vendor: Vendor, *, forgotten_first: bool) -> None:
    forgotten, known = vendor.voucher(), vendor.voucher()
    vendor.fake.cut_next(on=POST)
    await failed_post(vendor, known)
    (sending,), (lost,) = batch(known).sendings, batch(forgotten).sendings
    both = [replace(lost, vehicle=None), sending]
    asked = Batch(uuid4(), tuple(both if forgotten_first else reversed(both)))
    found = {one.reference: one for one in await vendor.adapter.find(asked, vendor.call())}
    assert found[known.reference].presence is Presence.ABSENT
    assert (found[known.reference].revoked, found[forgotten.reference].revoked) == (True, False)


async def test_a_look_for_what_was_forgotten_counts_what_stands_beside_it_once(vendor: Vendor) -> None:
    forgotten, known = vendor.voucher(), vendor.voucher()
    await post(vendor, known, post=False)
    (sending,), (lost,) = batch(known).sendings, batch(forgotten).sendings
    asked = Batch(uuid4(), (replace(lost, vehicle=None), sending))
    found = {one.reference: one for one in await vendor.adapter.confirm(asked, vendor.call(post=False))}
    assert (found[known.reference].presence, found[known.reference].posted) == (Presence.WHOLE, False)


async def test_absence_of_what_was_sent_in_a_forgotten_life_is_not_proven_at_once(vendor: Vendor) -> None:
    (finding,) = await look(vendor, vendor.voucher(), vehicle=None)
    assert (finding.presence, finding.revoked) == (Presence.ABSENT, False)
    assert journals(vendor) == []


async def test_a_voucher_that_is_booked_and_stands_in_a_journal_once_more_is_not_simply_booked(vendor: Vendor) -> None:
    voucher = vendor.voucher()
    await post(vendor, voucher)
    bc_of(vendor).accountant.add_line("KOPI", voucher.reference, "7140", "1250.00")
    (finding,) = await look(vendor, voucher, vehicle=None)
    assert finding.presence is Presence.UNKNOWN
    assert finding.message is not None
    assert "KOPI" in finding.message


async def test_a_voucher_that_is_booked_twice_is_told_as_that(vendor: Vendor) -> None:
    voucher = vendor.voucher()
    for _ in range(2):
        for line in voucher.lines:
            bc_of(vendor).accountant.add_line("KOPI", voucher.reference, line.account, str(line.amount))
        bc_of(vendor).accountant.post_journal("KOPI")
    (finding,) = await look(vendor, voucher)
    assert finding.presence is Presence.UNKNOWN
    assert "more than once" in (finding.message or "")


async def test_journals_that_were_closed_a_day_ago_are_deleted_by_the_next_closing(vendor: Vendor) -> None:
    for _ in range(3):
        await look(vendor, vendor.voucher())
    assert len(journals(vendor)) == 3
    for journal in journals(vendor):
        journal.modified = datetime.now(UTC) - timedelta(days=2)
    await look(vendor, vendor.voucher())
    assert len(journals(vendor)) == 1


async def test_a_look_up_over_pages_sees_all_of_it(vendor: Vendor) -> None:
    bc_of(vendor).page_size = 2
    vouchers = [vendor.voucher("1.00", "2.00", "3.00") for _ in range(3)]
    await post(vendor, *vouchers)
    findings = await look(vendor, *vouchers)
    assert {(finding.presence, finding.posted) for finding in findings} == {(Presence.WHOLE, True)}


async def released(held: Hold) -> None:
    held.release()
    await held.until_committed()
