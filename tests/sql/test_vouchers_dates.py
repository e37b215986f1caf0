"""On which day a voucher is posted: the setting posting_date, and what happens when that day is in a closed period."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from tests.fix_bilag import Bilag, Line, Organisation


def posting_date(org: Organisation, period_end: date | None = None) -> str:
    (only,) = org.preview(period_end)["vouchers"]
    return str(only["postingDate"])


def close(org: Organisation, until: date) -> None:
    org.database.sql("update bilag.integration_config set books_closed_until = %s where org_id = %s", until, org.id)


@pytest.mark.parametrize(
    ("time_zone", "day"),
    [("Europe/Oslo", "2026-03-02"), ("UTC", "2026-03-01"), ("America/New_York", "2026-03-01")],
)
def test_the_default_posting_date_is_the_day_of_the_approval_where_the_organisation_is(
    bilag: Bilag, time_zone: str, day: str
) -> None:
    org = bilag.organisation(time_zone=time_zone)
    org.database.sql("update bilag.integration_config set export_from = '-infinity'")
    org.claim("C-1", approved_at=datetime(2026, 3, 1, 23, 30, tzinfo=UTC))
    assert posting_date(org) == day


def test_posting_date_approved_is_the_default_said_aloud(org: Organisation) -> None:
    org.configure(posting_date="approved")
    org.claim("C-1")
    assert posting_date(org) == "2026-03-02"


def test_posting_date_expense_is_the_day_of_the_last_expense(org: Organisation) -> None:
    org.configure(posting_date="expense")
    org.claim("C-1", Line("Taxi", "1", date(2026, 2, 26)), Line("Taxi", "1", date(2026, 1, 5)))
    assert posting_date(org) == "2026-02-26"


def test_posting_date_expense_without_any_expense_date_is_the_approval(org: Organisation) -> None:
    org.configure(posting_date="expense")
    org.claim("C-1", Line("Taxi", "1", None))
    assert posting_date(org) == "2026-03-02"


def test_posting_date_period_end_is_the_runs_last_day(org: Organisation) -> None:
    org.configure(posting_date="period_end")
    org.claim("C-1")
    assert posting_date(org, date(2026, 3, 31)) == "2026-03-31"


def test_posting_date_period_end_of_an_open_period_is_the_approval(org: Organisation) -> None:
    org.configure(posting_date="period_end")
    org.claim("C-1")
    assert posting_date(org) == "2026-03-02"


def test_a_date_in_a_closed_period_moves_to_the_first_open_day(org: Organisation) -> None:
    org.configure(posting_date="expense", closed_period="move")
    close(org, date(2026, 2, 28))
    org.claim("C-1", Line("Taxi", "1", date(2026, 2, 26)))
    assert posting_date(org) == "2026-03-01"


def test_moving_is_the_default(org: Organisation) -> None:
    close(org, date(2026, 3, 31))
    org.claim("C-1")
    assert posting_date(org) == "2026-04-01"


def test_a_date_after_the_closed_period_stays_where_it_is(org: Organisation) -> None:
    close(org, date(2026, 3, 1))
    org.claim("C-1")
    assert posting_date(org) == "2026-03-02"


@pytest.mark.parametrize(("closed_until", "is_rejected"), [(date(2026, 3, 1), False), (date(2026, 3, 2), True)])
def test_closed_period_reject_rejects_dates_up_to_and_on_the_last_closed_day(
    org: Organisation, closed_until: date, is_rejected: bool
) -> None:
    org.configure(closed_period="reject")
    close(org, closed_until)
    org.claim("C-1")
    shown = org.preview()
    assert (shown["wouldBook"], shown["wouldReject"]) == ((0, 1) if is_rejected else (1, 0))
    if is_rejected:
        (rejected,) = shown["rejected"]
        assert rejected["reasonCode"] == "period_closed"
        assert rejected["reasonParams"] == {"postingDate": "2026-03-02", "closedUntil": "2026-03-02"}
        assert rejected["reason"] == "The posting date 2026-03-02 is in a period closed until 2026-03-02."
