"""What Business Central's answers do not say: every trap of its batches, statuses and journals."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from tests.adapters.bc import CREATE, LINES, POST, bc_of, journals, look, post, post_everything, standing
from tests.adapters.contract_suite import failed_post
from tests.adapters.vendor import Vendor, batch, voucher_of
from worker.contract import Line, Presence, Verdict, Voucher
from worker.errors import AdapterError, ErrorClass, Executed, Refused, Rejected

pytestmark = pytest.mark.anyio


@pytest.fixture
def vendor(dynamics365: Vendor) -> Vendor:
    return dynamics365


def with_dimension(name: str, value: str) -> Voucher:
    taxi = Line(1, "7140", Decimal(10), "Taxi", None, {name: value})
    return voucher_of(taxi, Line(2, "2910", Decimal(-10), "Oppgjør"))


@pytest.mark.parametrize(
    ("voucher", "reason"),
    [
        (with_dimension("NONSENSE", "A"), ("dimension_unsupported", {"dimension": "NONSENSE"})),
        (with_dimension("PROJECT", "P-9999"), ("dimension_unknown", {"code": "P-9999"})),
        (
            voucher_of(Line(1, "7140", Decimal(1), "x"), Line(2, "2910", Decimal(-1), "x", subledger="E9")),
            ("subledger_unknown", {"code": "E9"}),
        ),
        (
            voucher_of(Line(1, "7140", Decimal(1), "x", "NOVAT"), Line(2, "2910", Decimal(-1), "x")),
            ("vat_code_unknown", {"code": "NOVAT"}),
        ),
    ],
)
async def test_a_refused_line_inside_a_200_voids_the_whole_journal_and_names_its_voucher(
    vendor: Vendor, voucher: Voucher, reason: tuple[str, dict[str, str]]
) -> None:
    """The earlier operations of the envelope say 201: nothing of them is there."""
    mates = [vendor.voucher(*["1.00"] * 40) for _ in range(4)]
    error = await failed_post(vendor, *mates, voucher)
    assert isinstance(error, Refused)
    assert (error.executed, error.error_class) == (Executed.NO, ErrorClass.PERMANENT)
    assert error.culprits == {voucher.reference: reason}
    assert "CorrelationId" not in error.message
    assert (journals(vendor), vendor.fake.calls[POST]) == ([], 0)


async def test_several_refused_lines_in_several_envelopes_are_all_named(vendor: Vendor) -> None:
    bad = [with_dimension("PROJECT", f"P-{n}") for n in (7777, 8888)]
    mates = [vendor.voucher(*["1.00"] * 90) for _ in range(2)]
    error = await failed_post(vendor, mates[0], bad[0], mates[1], bad[1])
    assert isinstance(error, Refused)
    assert error.culprits.keys() == {voucher.reference for voucher in bad}


async def test_a_short_answer_is_not_known_and_nothing_is_posted(vendor: Vendor) -> None:
    vouchers = [vendor.voucher(), vendor.voucher()]
    bc_of(vendor).short_batch_next(keep=3)
    error = await failed_post(vendor, *vouchers)
    assert (error.executed, error.is_permanent, vendor.fake.calls[POST]) == (Executed.UNKNOWN, False, 0)
    assert "3 of the 4" in error.message
    assert {finding.revoked for finding in await look(vendor, *vouchers)} == {True}
    assert standing(vendor) == []


async def test_a_short_answer_with_a_refusal_names_the_voucher_and_is_looked_up(vendor: Vendor) -> None:
    bad, mate = with_dimension("PROJECT", "P-7"), vendor.voucher()
    bc_of(vendor).short_batch_next(keep=1)
    error = await failed_post(vendor, bad, mate)
    assert isinstance(error, Refused)
    assert (error.executed, list(error.culprits)) == (Executed.UNKNOWN, [bad.reference])


async def test_answers_without_ids_are_matched_by_their_place(vendor: Vendor) -> None:
    bc_of(vendor).nameless_batch_next()
    voucher = vendor.voucher()
    assert (await post(vendor, voucher))[voucher.reference].verdict is Verdict.EXPORTED


@pytest.mark.parametrize("status", [429, 500, 503, 409])
async def test_a_failure_inside_a_200_that_passes_blames_no_voucher(vendor: Vendor, status: int) -> None:
    body = {"error": {"code": "Internal_ServerError", "message": "The server fell over.  CorrelationId:  1a2b."}}
    inner = {"responses": [{"id": "1", "status": 201, "body": {}}, {"id": "2", "status": status, "body": body}]}
    vendor.fake.answer_next(200, inner, on=LINES)
    error = await failed_post(vendor, vendor.voucher())
    assert (error.message, error.is_permanent) == ("The server fell over.", False)
    assert error.executed is (Executed.UNKNOWN if status >= 500 else Executed.NO)
    assert vendor.fake.calls[POST] == 0


@pytest.mark.parametrize("operation", [CREATE, LINES, POST, "GET journalLines"])
async def test_an_error_in_a_200_is_permanent_and_tried_once(vendor: Vendor, operation: str) -> None:
    refusal = {"code": "Application_X", "message": "No.  CorrelationId:  f00."}
    vendor.fake.answer_next(200, {"error": refusal}, on=operation)
    error = await failed_post(vendor, vendor.voucher())
    assert (error.error_class, error.message.endswith("No.")) == (ErrorClass.PERMANENT, True)
    assert vendor.fake.calls[operation] == 1
    assert vendor.fake.ledger.vouchers() == []


@pytest.mark.parametrize("step", [CREATE, LINES, POST])
@pytest.mark.parametrize("committed", [True, False])
async def test_a_cancelled_session_is_in_doubt_whatever_it_had_done(
    vendor: Vendor, step: str, *, committed: bool
) -> None:
    voucher = vendor.voucher()
    bc_of(vendor).cancel_next(committed=committed, on=step)
    error = await failed_post(vendor, voucher)
    assert (error.executed, error.error_class) == (Executed.UNKNOWN, ErrorClass.TIMEOUT)
    (finding,) = await look(vendor, voucher)
    booked = committed and step == POST
    assert finding.presence is (Presence.WHOLE if booked else Presence.ABSENT)
    post_everything(vendor)
    assert len(vendor.fake.ledger.vouchers()) == booked


@pytest.mark.parametrize("step", [CREATE, LINES, POST])
@pytest.mark.parametrize("status", [409, 400])
async def test_a_deadlock_passes_and_leaves_nothing(vendor: Vendor, step: str, status: int) -> None:
    voucher = vendor.voucher()
    bc_of(vendor).deadlock_next(status=status, on=step)
    error = await failed_post(vendor, voucher)
    assert not error.is_permanent
    (finding,) = await look(vendor, voucher)
    assert (finding.presence, standing(vendor)) == (Presence.ABSENT, [])


@pytest.mark.parametrize("step", [CREATE, LINES, POST])
async def test_a_limit_leaves_nothing_and_the_same_batch_may_go_again(vendor: Vendor, step: str) -> None:
    voucher = vendor.voucher()
    bc_of(vendor).throttle_next(on=step)
    error = await failed_post(vendor, voucher)
    assert (error.executed, error.reason_code, journals(vendor)) == (Executed.NO, "rate_limited", [])
    await post(vendor, voucher)
    assert vendor.fake.ledger.missing([voucher.reference]) == []


async def test_a_refusal_whose_journal_cannot_be_deleted_is_in_doubt(vendor: Vendor) -> None:
    bc_of(vendor).throttle_next(on=LINES)
    vendor.fake.cut_next(on="DELETE journals")
    error = await failed_post(vendor, vendor.voucher())
    assert error.executed is Executed.UNKNOWN


async def test_a_journal_with_a_balancing_account_is_refused_and_deleted(vendor: Vendor) -> None:
    voucher = vendor.voucher()
    journal = {"id": "7c2e0f6c-4f1c-4e6e-8a53-6b1e3a9d2f10", "balancingAccountNumber": "1920"}
    vendor.fake.answer_next(201, {**journal, "code": batch(voucher).vehicle}, on=CREATE)
    error = await failed_post(vendor, voucher)
    assert isinstance(error, Rejected)
    assert "balancing account" in error.message
    assert (error.executed, vendor.fake.calls["DELETE journals"], vendor.fake.calls[LINES]) == (Executed.NO, 1, 0)


async def test_a_balancing_account_that_comes_afterwards_stops_the_posting(vendor: Vendor) -> None:
    voucher = vendor.voucher()
    held = vendor.fake.hold_next(on=LINES)
    posting = asyncio.create_task(failed_post(vendor, voucher))
    await held.until_arrived()
    journals(vendor)[0].balancing_account = "1920"
    held.release()
    error = await posting
    assert "balancing account" in error.message
    assert (error.executed, journals(vendor), vendor.fake.calls[POST]) == (Executed.NO, [], 0)


async def test_lines_of_others_in_our_journal_are_not_posted(vendor: Vendor) -> None:
    voucher = vendor.voucher()
    held = vendor.fake.hold_next(on="GET journalLines")
    posting = asyncio.create_task(failed_post(vendor, voucher))
    await held.until_arrived()
    bc_of(vendor).accountant.add_line(journals(vendor)[0].code, "KARI-1", "7140", "5.00")
    held.release()
    error = await posting
    assert (error.executed, error.is_permanent, vendor.fake.calls[POST]) == (Executed.UNKNOWN, False, 0)
    assert "not ours" in error.message
    (finding,) = await look(vendor, voucher)
    assert (finding.presence, finding.revoked) == (Presence.UNKNOWN, False)


async def test_lines_that_somebody_deleted_or_changed_are_not_posted(vendor: Vendor) -> None:
    voucher = vendor.voucher()
    held = vendor.fake.hold_next(on="GET journalLines")
    posting = asyncio.create_task(failed_post(vendor, voucher))
    await held.until_arrived()
    bc_of(vendor).accountant.delete_lines(voucher.reference, most=1)
    held.release()
    error = await posting
    assert (error.executed, vendor.fake.calls[POST]) == (Executed.UNKNOWN, 0)
    assert "1 of 2 lines" in error.message


async def test_a_template_that_counts_names_up_does_not_lose_our_journal(vendor: Vendor) -> None:
    bc_of(vendor).administrator.set_template(increment_batch_name=True)
    voucher = vendor.voucher()
    assert (await post(vendor, voucher))[voucher.reference].verdict is Verdict.EXPORTED
    assert journals(vendor) == []


async def test_an_unknown_company_is_said_and_nothing_is_made(vendor: Vendor) -> None:
    call = vendor.call(company_id="00000000-0000-0000-0000-00000000dead")
    with pytest.raises(AdapterError) as refused:
        await vendor.adapter.post(batch(vendor.voucher()), call)
    assert (refused.value.executed, refused.value.is_permanent) == (Executed.NO, True)


async def test_a_next_page_elsewhere_is_not_followed_with_our_token(vendor: Vendor) -> None:
    page = {"value": [], "@odata.nextLink": "https://elsewhere.example/?$skiptoken=1"}
    vendor.fake.answer_next(200, page, on="GET journals")
    with pytest.raises(AdapterError, match="somewhere else"):
        await look(vendor, vendor.voucher())
