"""Month-end: every claim once, on one day, in one place; and what keeps the books from being closed."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tests.fix_bilag import Bilag, Line, Organisation
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused
from tests.sql.vendor_with_memory import DAY, RELEASE, REVERSE, Vendor, export, reference

STATES = ("approved", "booked", "rejected", "inDoubt", "waiting", "excluded", "reversed")


@pytest.fixture
def vendor(worker: FakeWorker) -> Vendor:
    return Vendor(worker)


def summary(org: Organisation, first: str = "2026-03-01", last: str = "2026-03-31") -> dict[str, Any]:
    return dict(org.database.value("select bilag.period_summary(%s, 'xledger', %s, %s)", org.id, first, last))


def counts(org: Organisation, first: str = "2026-03-01", last: str = "2026-03-31") -> dict[str, int]:
    """The states that have any claim. Approved is always the sum of the others."""
    told = summary(org, first, last)
    assert told["approved"]["count"] == sum(told[state]["count"] for state in STATES[1:])
    return {state: told[state]["count"] for state in STATES if told[state]["count"]}


def why_not(org: Organisation) -> dict[str, int]:
    told = summary(org)
    assert told["readyToClose"] is (told["reasons"] == [])
    assert all(reason["reason"].endswith(".") and reason["whatToDo"].endswith(".") for reason in told["reasons"])
    return {reason["code"]: reason["count"] for reason in told["reasons"]}


def test_a_month_in_which_everything_is_booked_is_ready_to_close(org: Organisation, vendor: Vendor) -> None:
    org.approve(3)
    assert why_not(org) == {"claims_waiting": 3}
    export(org, vendor)
    told = summary(org)
    assert counts(org) == {"approved": 3, "booked": 3}
    assert told["booked"] == told["ledger"] == {"count": 3, "sums": {"NOK": "301.50"}}
    assert told["readyToClose"] is True
    assert (told["fromDate"], told["toDate"], told["periodIsOver"]) == ("2026-03-01", "2026-03-31", False)
    assert told["lastReconciliation"] is None


def test_an_empty_month_is_ready(org: Organisation) -> None:
    assert (counts(org), why_not(org)) == ({}, {})
    assert summary(org)["booked"] == {"count": 0, "sums": {}}


def test_each_state_is_counted_and_those_that_are_not_at_their_end_say_why(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor
) -> None:
    for number in ("booked", "rejected", "doubt", "accepted"):
        org.claim(number)
    org.database.sql("select bilag.exclude_claim(%s, 'xledger', 'private')", org.claim("excluded"))
    org.database.sql("select bilag.mark_booked(%s, 'xledger', '7', 'by hand')", org.claim("by hand"))
    org.claim("unmapped", Line("Sauna", "1"))
    org.request()
    outcomes = {"booked": "exported", "rejected": "rejected", "doubt": "unknown", "accepted": "accepted"}
    worker.settle(worker.claim_one(), lambda item: outcomes[item["voucher"]["claimNumber"]], release=True)
    org.claim("waiting")
    assert counts(org) == {"approved": 8, "booked": 2, "rejected": 2, "inDoubt": 1, "waiting": 2, "excluded": 1}
    assert why_not(org) == {"claims_waiting": 1, "vouchers_under_way": 1, "vouchers_in_doubt": 1, "claims_rejected": 2}
    assert summary(org)["booked"]["sums"] == {"NOK": "201.00"}
    assert summary(org)["ledger"] == {"count": 1, "sums": {"NOK": "100.50"}}


def test_a_reversed_claim_is_counted_as_reversed_and_the_ledger_sums_to_nothing(
    org: Organisation, vendor: Vendor
) -> None:
    claim = vendor.book(org)
    org.database.sql(REVERSE, claim, DAY)
    assert why_not(org) == {"reversals_under_way": 1}
    vendor.work()
    assert counts(org) == {"approved": 1, "reversed": 1}
    told = summary(org)
    assert told["ledger"] == {"count": 2, "sums": {"NOK": "0.00"}}
    assert told["reversals"] == {"count": 1, "sums": {"NOK": "-100.50"}}
    assert told["readyToClose"] is True
    org.database.sql(RELEASE, claim)
    assert (counts(org), why_not(org)) == ({"approved": 1, "waiting": 1}, {"claims_waiting": 1})
    export(org, vendor)
    assert counts(org) == {"approved": 1, "booked": 1}
    assert summary(org)["ledger"] == {"count": 3, "sums": {"NOK": "100.50"}}


def test_a_reversal_counts_in_the_ledger_of_its_own_month(org: Organisation, vendor: Vendor) -> None:
    claim = vendor.book(org)
    org.database.sql(REVERSE, claim, "2026-04-02")
    vendor.work()
    assert summary(org)["ledger"] == {"count": 1, "sums": {"NOK": "100.50"}}
    april = summary(org, "2026-04-01", "2026-04-30")
    assert april["ledger"] == april["reversals"] == {"count": 1, "sums": {"NOK": "-100.50"}}
    assert april["approved"]["count"] == 0


def test_a_voucher_that_was_deleted_is_in_no_ledger(org: Organisation, vendor: Vendor) -> None:
    claim = vendor.book(org)
    vendor.delete(reference(org))
    org.database.sql(RELEASE, claim)
    vendor.work()
    assert summary(org)["ledger"] == {"count": 0, "sums": {}}
    assert counts(org) == {"approved": 1, "waiting": 1}


def test_what_vanished_keeps_the_month_open_until_it_is_seen_or_released(
    org: Organisation, worker: FakeWorker, vendor: Vendor
) -> None:
    vendor.book(org)
    ask = "select bilag.request_reconciliation(%s, 'xledger', '2026-03-01', '2026-03-31')"
    made = org.database.value(ask, org.id)
    worker.work(lambda _job, _item: "absent")
    assert why_not(org) == {"vouchers_vanished": 1}
    last = summary(org)["lastReconciliation"]
    assert (last["reconciliationId"], last["vouchers"]["vanished"]) == (str(made), 1)
    org.database.value(ask, org.id)
    vendor.work()
    assert why_not(org) == {}


def test_a_voucher_belongs_to_the_month_of_its_posting_date_and_a_waiting_claim_to_that_of_its_approval(
    org: Organisation, vendor: Vendor
) -> None:
    org.configure(posting_date="expense")
    for number, day in enumerate((date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 31), date(2026, 4, 1))):
        org.claim(f"C-{number}", Line("Taxi", "10", day))
    assert counts(org) == {"approved": 4, "waiting": 4}
    export(org, vendor)
    assert counts(org) == {"approved": 2, "booked": 2}
    assert counts(org, "2026-02-01", "2026-02-28") == {"approved": 1, "booked": 1}
    assert counts(org, "2026-04-01", "2026-04-01") == {"approved": 1, "booked": 1}


@pytest.mark.parametrize(
    ("approved_at", "month"),
    [
        ("2026-02-28 22:59:59.999999+00", "2026-02"),
        ("2026-02-28 23:00+00", "2026-03"),
        ("2026-03-31 21:59:59+00", "2026-03"),
        ("2026-03-31 22:00+00", "2026-04"),
    ],
)
def test_the_day_of_an_approval_is_the_organisations(org: Organisation, approved_at: str, month: str) -> None:
    """Oslo is an hour ahead in winter and two in summer."""
    org.database.sql("update bilag.integration_config set export_from = '2026-01-01'")
    org.claim("C-1", approved_at=approved_at)
    periods = {"2026-02": "2026-02-28", "2026-03": "2026-03-31", "2026-04": "2026-04-30"}
    told = {name: counts(org, f"{name}-01", last) for name, last in periods.items()}
    assert told == {name: {"approved": 1, "waiting": 1} if name == month else {} for name in periods}


def test_a_claim_of_a_closed_period_moves_with_its_voucher(org: Organisation, vendor: Vendor) -> None:
    org.database.sql("update bilag.integration_config set books_closed_until = '2026-03-31'")
    vendor.book(org)
    assert counts(org) == {}
    assert counts(org, "2026-04-01", "2026-04-30") == {"approved": 1, "booked": 1}
    assert summary(org)["booksClosedUntil"] == "2026-03-31"


def test_sums_are_per_currency(bilag: Bilag, org: Organisation, vendor: Vendor) -> None:
    org.database.sql("update bilag.integration_types set foreign_currency = true")
    org.claim("C-1", Line("Taxi", "10"))
    org.claim("C-2", Line("Taxi", "7.5"), currency="EUR")
    org.claim("C-3", Line("Taxi", "2.5"), currency="EUR")
    assert summary(org)["waiting"] == {"count": 3, "sums": {"EUR": "10.00", "NOK": "10.00"}}
    export(org, vendor)
    assert summary(org)["booked"] == {"count": 3, "sums": {"EUR": "10.00", "NOK": "10.00"}}


def test_what_is_not_ours_is_not_counted(bilag: Bilag, org: Organisation, vendor: Vendor) -> None:
    bilag.type("other")
    org.integration("other")
    org.map("Taxi", "1", kind="other")
    org.claim("C-1")
    org.request(kind="other")
    vendor.work()
    org.claim("old", approved_at="2026-03-01 12:00+00")
    org.claim("draft", status="draft")
    assert counts(org) == {}
    told = org.database.value("select bilag.period_summary(%s, 'other', '2026-03-01', '2026-03-31')", org.id)
    assert told["booked"]["count"] == 1


def test_only_finance_asks_and_only_for_a_period(bilag: Bilag, org: Organisation) -> None:
    ask = "select bilag.period_summary(%s, 'xledger', '2026-03-01', '2026-03-31')"
    for person in (org.member("member"), bilag.organisation("Other").member()):
        with org.database.as_user(person) as connection, refused("KB003"):
            connection.execute(ask, [org.id])
    with org.database.as_user(org.member()) as connection:
        connection.execute(ask, [org.id])
    with refused("KB001", "2026-03-31 to 2026-03-01 is no period"):
        summary(org, "2026-03-31", "2026-03-01")
    with refused("KB002"):
        org.database.sql("select bilag.period_summary(%s, 'nothing', '2026-03-01', '2026-03-31')", org.id)


def history(org: Organisation, count: int) -> None:
    """So many booked claims over the thirty months before March 2026, written down without a worker."""
    org.database.sql(
        "with made as (insert into bilag.expense_claims (org_id, claim_number, status, approved_at)"
        " select %s, 'H-' || n, 'approved', '2023-09-01 12:00+00'::timestamptz + n %% 900 * interval '1 day'"
        " from generate_series(1, %s) as n returning id, claim_number, approved_at)"
        " insert into bilag.export_items (org_id, integration_id, integration_type, claim_id, state, holds, books,"
        " reference, voucher_number, voucher, posting_date, currency, amount, booked_at, created_at)"
        " select c.org_id, c.id, 'xledger', m.id, 'exported', true, true,"
        " bilag_internal.reference(c.id, m.claim_number, 1), row_number() over (), '{}', m.approved_at::date, 'NOK', 1,"
        " m.approved_at, m.approved_at from made m cross join bilag.integration_config c where c.org_id = %s",
        org.id, count, org.id,
    )  # fmt: skip
    org.database.sql("update bilag.integration_config set export_from = '2020-01-01'")
    org.database.sql("analyze bilag.export_items")
    org.database.sql("analyze bilag.expense_claims")


def test_a_month_among_years_of_history_reads_that_month_only(org: Organisation) -> None:
    history(org, 30_000)
    connection = org.database.connect()
    read = "select coalesce(sum(seq_tup_read), 0) from pg_stat_xact_user_tables where schemaname = 'bilag'"
    with connection.transaction():
        told = connection.execute(
            "select bilag.period_summary(%s, 'xledger', '2025-01-01', '2025-01-31')", [org.id]
        ).fetchone()
        row = connection.execute(read).fetchone()
    assert told is not None
    assert row is not None
    assert told[0]["booked"]["count"] > 900
    assert row[0] < 200, "no table was read from end to end"
