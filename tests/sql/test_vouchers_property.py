"""What an export previews is what it books, whatever the claims, the mappings and the settings."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fix_bilag import Bilag, Line, Organisation
from tests.sql.fake_worker import FakeWorker

CATEGORIES = ["Taxi", "Meals", "Hotel", "Kilometer", "Sauna"]

days = st.dates(date(2026, 1, 1), date(2026, 3, 10))
dimensions = st.dictionaries(st.sampled_from(["DEPARTMENT", "PROJECT"]), st.sampled_from(["A", "B"]), max_size=2)
mappings = st.lists(
    st.tuples(
        st.sampled_from(CATEGORIES[:-1]),
        st.sampled_from(["7100", "7140", "7150"]),
        st.one_of(st.none(), days),
        st.sampled_from([None, "1", "12"]),
        dimensions,
    ),
    max_size=6,
    unique_by=lambda mapping: (mapping[0], mapping[2]),
)
amounts = st.decimals(Decimal(-5000), Decimal(100_000), places=2).filter(bool)
lines = st.builds(Line, st.sampled_from(CATEGORIES), amounts, st.one_of(st.none(), days), dimensions=dimensions)
claims = st.lists(
    st.tuples(st.lists(lines, max_size=4), st.sampled_from(["NOK", "NOK", "EUR"]), st.sampled_from([None, "E1"])),
    min_size=1,
    max_size=6,
)
integrations = st.fixed_dictionaries(
    {
        "posting_date": st.sampled_from(["approved", "expense", "period_end"]),
        "closed_period": st.sampled_from(["move", "reject"]),
        "settlement": st.sampled_from(["account", "subledger"]),
        "voucher_number_from": st.integers(1, 10**6),
    }
)


def make(
    bilag: Bilag, setting: dict[str, Any], mapped: list[Any], approved: list[Any], closed: date | None
) -> Organisation:
    org = Organisation(bilag.database, "Drawn", "Europe/Oslo", bilag.connection)
    org.integration(settings=setting, books_closed_until=closed)
    for category, account, since, vat, own in mapped:
        org.map(category, account, valid_from=since or "-infinity", vat_code=vat, dimensions=own)
    for n, (its_lines, currency, reference) in enumerate(approved):
        claim = org.claim(f"C-{n}", *its_lines, currency=currency, claimant_reference=reference, status="draft")
        if not its_lines:  # a taxi was put in
            bilag.database.sql("delete from bilag.expense_claim_lines where claim_id = %s", claim)
    bilag.database.sql("update bilag.expense_claims set status = 'approved' where org_id = %s", org.id)
    return org


def booked(bilag: Bilag, run: UUID) -> dict[str, dict[str, Any]]:
    """What the run booked, in the preview's words, from the rows that were written."""
    vouchers: dict[str, dict[str, Any]] = defaultdict(lambda: {"lines": []})
    for number, day, currency, *line in bilag.database.sql(
        "select claim_number, posting_date, currency, account_code, amount, vat_code, description, dimensions"
        " from bilag.export_report(%s)",
        run,
    ):
        vouchers[number] |= {"postingDate": str(day), "currency": currency}
        vouchers[number]["lines"].append(line)
    return dict(vouchers)


def previewed(shown: dict[str, Any]) -> dict[str, dict[str, Any]]:
    keys = ("account", "amount", "vatCode", "description", "dimensions")
    return {
        voucher["claimNumber"]: {
            "postingDate": voucher["postingDate"],
            "currency": voucher["currency"],
            "lines": [[Decimal(line[k]) if k == "amount" else line[k] for k in keys] for line in voucher["lines"]],
        }
        for voucher in shown["vouchers"]
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    setting=integrations,
    mapped=mappings,
    approved=claims,
    closed=st.one_of(st.none(), days),
    period_end=st.one_of(st.none(), st.just(date(2026, 3, 31))),
)
def test_an_export_books_and_rejects_what_its_preview_said(
    bilag: Bilag,
    worker: FakeWorker,
    setting: dict[str, Any],
    mapped: list[Any],
    approved: list[Any],
    closed: date | None,
    period_end: date | None,
) -> None:
    org = make(bilag, setting, mapped, approved, closed)
    shown = org.preview(period_end)
    run = org.request(period_end)
    worker.work()

    vouchers = booked(bilag, run)
    assert vouchers == previewed(shown)
    assert len(vouchers) == shown["wouldBook"]
    for voucher in vouchers.values():
        assert sum(line[1] for line in voucher["lines"]) == 0
        assert voucher["lines"][-1][0] == "2910"
    rejected = bilag.database.sql(
        "select c.claim_number, i.reason_code, i.reason_params, i.message from bilag.export_items i"
        " join bilag.expense_claims c on c.id = i.claim_id where i.run_id = %s and i.state = 'rejected'",
        run,
    )
    assert sorted(rejected, key=str) == sorted(
        ((c["claimNumber"], c["reasonCode"], c["reasonParams"], c["reason"]) for c in shown["rejected"]), key=str
    )
    assert shown["wouldBook"] + shown["wouldReject"] == len(approved)
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for voucher in vouchers.values():
        for line in voucher["lines"]:
            sums[line[0], voucher["currency"]] += line[1]
    assert sums == {(s["account"], s["currency"]): Decimal(s["amount"]) for s in shown["sums"]}
