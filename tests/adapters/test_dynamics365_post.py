"""What goes into Business Central: journals, lines, and what is refused before anything is written."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal

import pytest

from tests.adapters.bc import LINES, POST, bc_of, journals, look, post, sent_to, standing
from tests.adapters.contract_suite import failed_post
from tests.adapters.vendor import Vendor, batch, voucher_of
from worker.contract import Line, Presence, Verdict
from worker.errors import Executed, Refused, TransformationError

NO_DIRECT_POSTING = "Account 2710 does not allow direct posting."

pytestmark = pytest.mark.anyio


@pytest.fixture
def vendor(dynamics365: Vendor) -> Vendor:
    return dynamics365


async def test_a_line_says_everything_and_in_the_order_in_which_it_is_checked(vendor: Vendor) -> None:
    voucher = voucher_of(
        Line(1, "7140", Decimal("123.45"), "Taxi " * 30, "1", {"department": "SALES", "PROJECT": "P-41"}),
        Line(2, "2910", Decimal("-123.45"), "Oppgjør", subledger="E1001"),
        documentation_url="https://example.org/" + "x" * 300,
    )
    bc_of(vendor).company.accounts["7140"].vat_percent = None
    await post(vendor, voucher)
    (envelope,) = sent_to(vendor, LINES)
    first, second = (request["body"] for request in envelope["requests"])
    assert list(first) == [
        "lineNumber", "accountNumber", "postingDate", "documentNumber", "externalDocumentNumber", "amount",
        "description", "comment", "taxCode", "dimensionSetLines",
    ]  # fmt: skip
    assert (first["lineNumber"], second["lineNumber"]) == (10_000, 20_000)
    assert (first["postingDate"], first["documentNumber"]) == ("2026-03-01", voucher.reference)
    assert (first["externalDocumentNumber"], first["amount"]) == (str(voucher.voucher_number), 123.45)
    assert (len(first["description"]), len(first["comment"])) == (100, 250)
    assert [list(one) for one in first["dimensionSetLines"]] == [["code", "valueCode"]] * 2
    assert list(second)[1:3] == ["accountType", "accountNumber"]
    assert (second["accountType"], second["accountNumber"]) == ("Vendor", "E1001")
    booked = vendor.fake.ledger.one(voucher.reference)
    assert booked.entries[0].dimensions == {"DEPARTMENT": "SALES", "PROJECT": "P-41"}
    assert booked.entries[1].subledger == "E1001"


async def test_dimensions_that_the_account_puts_there_by_itself_are_changed_and_not_doubled(vendor: Vendor) -> None:
    bc_of(vendor).administrator.set_account("7140", default_dimensions={"DEPARTMENT": "100", "PRODUCT": "K-1"})
    taxi = Line(1, "7140", Decimal(10), "Taxi", None, {"DEPARTMENT": "110", "PROJECT": "P-41"})
    parking = Line(2, "7090", Decimal(5), "Parkering", None, {"DEPARTMENT": "100"})
    plain = Line(3, "7140", Decimal(5), "Taxi")
    voucher = voucher_of(taxi, parking, plain, Line(4, "2910", Decimal(-20), "Oppgjør"))
    outcome = (await post(vendor, voucher, vendor.voucher()))[voucher.reference]
    assert outcome.verdict is Verdict.EXPORTED
    booked = vendor.fake.ledger.one(voucher.reference)
    assert [entry.dimensions for entry in booked.entries] == [
        {"DEPARTMENT": "110", "PRODUCT": "K-1", "PROJECT": "P-41"},
        {"DEPARTMENT": "100"},
        {"DEPARTMENT": "100", "PRODUCT": "K-1"},
        {},
    ]


async def test_a_value_that_is_refused_when_it_is_changed_names_its_voucher(vendor: Vendor) -> None:
    bc_of(vendor).administrator.set_account("7140", default_dimensions={"DEPARTMENT": "100"})
    bad = voucher_of(
        Line(1, "7140", Decimal(10), "Taxi", None, {"DEPARTMENT": "NONE"}), Line(2, "2910", Decimal(-10), "Oppgjør")
    )
    error = await failed_post(vendor, vendor.voucher(), bad)
    assert isinstance(error, Refused)
    assert (error.executed, error.culprits) == (Executed.NO, {bad.reference: ("dimension_unknown", {"code": "NONE"})})
    assert journals(vendor) == []


async def test_every_request_asks_for_json_in_english_and_batches_for_a_snapshot(vendor: Vendor) -> None:
    await post(vendor, vendor.voucher())
    asked = [one for one in vendor.fake.requests if one.operation != "token"]
    assert {one.headers["accept-language"] for one in asked} == {"en-US"}
    assert {one.headers["accept"] for one in asked} == {"application/json"}
    assert [one.headers.get("isolation") for one in asked if one.operation == LINES] == ["snapshot"]
    reads = [one for one in asked if one.operation.startswith("GET")]
    assert {one.headers["data-access-intent"] for one in reads} == {"ReadWrite"}


async def test_posting_leaves_nothing_behind(vendor: Vendor) -> None:
    outcomes = await post(vendor, vendor.voucher(), vendor.voucher())
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.EXPORTED}
    assert journals(vendor) == []


async def test_a_line_that_somebody_typed_into_the_emptied_journal_is_not_deleted(vendor: Vendor) -> None:
    held = vendor.fake.hold_next(on="GET $batch", skip=1)
    posting = asyncio.create_task(post(vendor, vendor.voucher()))
    await held.until_arrived()
    bc_of(vendor).accountant.add_line(journals(vendor)[0].code, "KARI-1", "7140", "5.00")
    held.release()
    await posting
    assert standing(vendor) == ["KARI-1"]


async def test_many_lines_go_in_envelopes_of_a_hundred_five_at_once_and_whole_vouchers(vendor: Vendor) -> None:
    vendor.fake.latency = 0.05
    vouchers = [vendor.voucher(*["1.00"] * 29) for _ in range(16)]
    await post(vendor, *vouchers)
    sizes = [len(envelope["requests"]) for envelope in sent_to(vendor, LINES)]
    assert sorted(sizes) == [30] + [90] * 5
    for envelope in sent_to(vendor, LINES):
        documents = [request["body"]["documentNumber"] for request in envelope["requests"]]
        assert {documents.count(document) for document in documents} == {30}
    assert 1 < vendor.fake.most_in_flight <= 5
    assert len(vendor.fake.ledger.vouchers()) == 16


async def test_a_voucher_of_more_than_a_hundred_lines_is_booked_in_one_piece(vendor: Vendor) -> None:
    voucher = vendor.voucher(*["1.00"] * 249)
    await post(vendor, voucher)
    assert [len(envelope["requests"]) for envelope in sent_to(vendor, LINES)] == [100, 100, 50]
    assert len(vendor.fake.ledger.one(voucher.reference).entries) == 250


async def test_half_of_a_long_voucher_is_never_posted(vendor: Vendor) -> None:
    voucher = vendor.voucher(*["1.00"] * 249)
    vendor.fake.cut_next(on=LINES, skip=1)
    error = await failed_post(vendor, voucher)
    assert (error.executed, vendor.fake.calls[POST]) == (Executed.UNKNOWN, 0)
    (finding,) = await look(vendor, voucher)
    assert (finding.presence, finding.revoked, standing(vendor)) == (Presence.ABSENT, True, [])


@pytest.mark.parametrize(
    ("line", "reason", "params"),
    [
        (Line(1, "9999", Decimal(1), "x"), "account_unknown", {"code": "9999"}),
        (Line(1, "7" * 21, Decimal(1), "x"), "account_unknown", {"code": "7" * 21}),
        (Line(1, "7140", Decimal(1), "x", "9" * 21), "vat_code_unknown", {"code": "9" * 21}),
        (Line(1, "7140", Decimal(1), "x", None, {"D" * 21: "A"}), "dimension_unsupported", {"dimension": "D" * 21}),
        (Line(1, "7140", Decimal(1), "x", None, {"PROJECT": "P" * 21}), "dimension_unknown", {"code": "P" * 21}),
        (Line(1, "7140", Decimal(1), "x", subledger="E" * 21), "subledger_unknown", {"code": "E" * 21}),
        (
            Line(1, "2710", Decimal(1), "x"),
            "refused_by_vendor",
            {"message": NO_DIRECT_POSTING},
        ),
    ],
)
async def test_what_cannot_be_booked_is_rejected_and_its_batch_mate_is_booked(
    vendor: Vendor, line: Line, reason: str, params: dict[str, str]
) -> None:
    good, bad = vendor.voucher(), voucher_of(line, Line(2, "2910", -line.amount, "Oppgjør"))
    outcomes = await post(vendor, good, bad)
    assert outcomes[good.reference].verdict is Verdict.EXPORTED
    outcome = outcomes[bad.reference]
    assert (outcome.verdict, outcome.reason_code, outcome.reason_params) == (Verdict.REJECTED, reason, params)


@pytest.mark.parametrize(
    ("facts", "said"),
    [({"blocked": True}, "is blocked"), ({"account_type": "Heading"}, "is a heading or a total")],
)
async def test_an_account_that_takes_no_postings_is_said_to_be_so(
    vendor: Vendor, facts: dict[str, object], said: str
) -> None:
    for name, value in facts.items():
        setattr(bc_of(vendor).company.accounts["7140"], name, value)
    voucher = vendor.voucher()
    outcome = (await post(vendor, voucher))[voucher.reference]
    assert said in str(outcome.reason_params["message"])
    assert (journals(vendor), vendor.fake.calls[LINES]) == ([], 0)


async def test_a_claim_in_another_currency_is_rejected_with_that_reason(vendor: Vendor) -> None:
    foreign = voucher_of(*vendor.voucher().lines, currency="EUR")
    outcome = (await post(vendor, foreign))[foreign.reference]
    assert (outcome.verdict, outcome.reason_code) == (Verdict.REJECTED, "currency_unsupported")
    assert outcome.reason_params == {"currency": "EUR", "ledgerCurrency": "NOK"}
    assert len(vendor.fake.requests) - vendor.fake.calls["token"] == 0


async def test_a_company_in_another_currency_than_the_settings_say_is_not_booked_in(vendor: Vendor) -> None:
    bc_of(vendor).company.setup.currency = "SEK"
    voucher = vendor.voucher()
    outcome = (await post(vendor, voucher))[voucher.reference]
    assert outcome.reason_params == {"currency": "NOK", "ledgerCurrency": "SEK"}
    assert (journals(vendor), vendor.fake.calls[LINES]) == ([], 0)


async def test_a_day_that_may_not_be_posted_on_is_said_before_anything_is_written(vendor: Vendor) -> None:
    bc_of(vendor).administrator.close_period("2026-03-31")
    voucher = vendor.voucher()
    outcome = (await post(vendor, voucher))[voucher.reference]
    assert (outcome.reason_code, outcome.reason_params) == (
        "period_closed", {"postingDate": "2026-03-01", "closedUntil": "2026-03-31"},
    )  # fmt: skip
    assert (journals(vendor), vendor.fake.calls[LINES]) == ([], 0)
    bc_of(vendor).company.setup.allow_posting_from = None
    bc_of(vendor).company.setup.allow_posting_to = date(2026, 2, 28)
    outcome = (await post(vendor, voucher))[voucher.reference]
    assert outcome.reason_params == {"message": "Posting is allowed until 2026-02-28, and not on 2026-03-01."}


async def test_what_is_booked_already_is_not_sent_again_whoever_asks(vendor: Vendor) -> None:
    voucher, other = vendor.voucher(), vendor.voucher()
    await post(vendor, voucher)
    outcomes = await post(vendor, voucher, other)
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.EXPORTED}
    assert vendor.fake.ledger.doubled() == {}
    assert len(vendor.fake.ledger.vouchers()) == 2


async def test_what_is_booked_in_part_is_not_sent_and_not_known(vendor: Vendor) -> None:
    voucher = vendor.voucher()
    for account, amount in (("7140", "5.00"), ("2910", "-5.00")):
        bc_of(vendor).accountant.add_line("KOPI", voucher.reference, account, amount)
    bc_of(vendor).accountant.post_journal("KOPI")
    outcome = (await post(vendor, voucher))[voucher.reference]
    assert outcome.verdict is Verdict.UNKNOWN
    assert vendor.fake.calls[LINES] == 0


async def test_lines_wait_for_a_person_when_the_settings_say_so(vendor: Vendor) -> None:
    voucher = vendor.voucher()
    outcome = (await post(vendor, voucher, post=False))[voucher.reference]
    assert outcome.verdict is Verdict.ACCEPTED
    assert (vendor.fake.calls[POST], standing(vendor)) == (0, [voucher.reference] * 2)
    assert journals(vendor)[0].name.startswith("Bilag: 1 vouchers, 2026-03-01, 1250")


async def test_what_a_job_queue_posts_is_accepted_until_it_is_seen(vendor: Vendor) -> None:
    bc_of(vendor).administrator.set_up(job_queue_seconds=30.0)
    voucher = vendor.voucher()
    outcome = (await post(vendor, voucher))[voucher.reference]
    assert outcome.verdict is Verdict.ACCEPTED
    (finding,) = await look(vendor, voucher, how="confirm")
    assert (finding.presence, finding.posted) == (Presence.WHOLE, False)
    bc_of(vendor).advance(60)
    (finding,) = await look(vendor, voucher, how="confirm")
    assert (finding.presence, finding.posted) == (Presence.WHOLE, True)
    assert journals(vendor) == []


async def test_a_ledger_that_cannot_be_read_after_posting_leaves_it_accepted(vendor: Vendor) -> None:
    voucher = vendor.voucher()
    vendor.fake.fail_next(503, on="GET $batch", skip=1)
    outcome = (await post(vendor, voucher))[voucher.reference]
    assert outcome.verdict is Verdict.ACCEPTED
    (finding,) = await look(vendor, voucher, how="confirm")
    assert finding.posted


async def test_vat_that_business_central_splits_is_still_the_voucher(vendor: Vendor) -> None:
    bc_of(vendor).company.accounts["7140"].vat_percent = Decimal(25)
    voucher = vendor.voucher("125.00", vat_code="1")
    outcome = (await post(vendor, voucher))[voucher.reference]
    assert len(vendor.fake.ledger.one(voucher.reference).entries) == 3
    assert outcome.verdict is Verdict.EXPORTED


async def test_an_amount_that_no_json_number_says_exactly_is_not_sent(vendor: Vendor) -> None:
    with pytest.raises(TransformationError):
        await vendor.adapter.post(batch(vendor.voucher("123456789012345678.91")), vendor.call())
    assert journals(vendor) == []


async def test_where_the_setup_may_not_be_read_posting_has_the_last_word(vendor: Vendor) -> None:
    voucher = vendor.voucher()
    fake = bc_of(vendor)
    fake.administrator.close_period("2026-03-31")
    setup, fake.company.setup.allow_posting_from = fake.company.setup.allow_posting_from, None
    held = fake.hold_next(on=POST)
    posting = asyncio.create_task(failed_post(vendor, voucher))
    await held.until_arrived()
    fake.company.setup.allow_posting_from = setup
    held.release()
    error = await posting
    assert "not within your range of allowed posting dates" in error.message
    (finding,) = await look(vendor, voucher)
    assert (finding.presence, finding.revoked) == (Presence.ABSENT, True)
