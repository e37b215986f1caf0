"""The ledger's answers, with vouchers that no client sent."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from dev.fakes.ledger import Booked, Entry, Ledger


def booked(reference: str, *amounts: str, owner: str = "1000", deliveries: int = 1) -> Booked:
    entries = tuple(Entry(at, f"71{at:02}", Decimal(amount)) for at, amount in enumerate(amounts))
    when = datetime(2026, 3, 1, tzinfo=UTC)
    return Booked(1, 7, reference, 41, owner, date(2026, 3, 1), when, "NOK", entries, deliveries)


@pytest.fixture
def ledger() -> Ledger:
    held = Ledger()
    held.book(booked("A", "10.00", "-10.00"))
    held.book(booked("B", "5.00", "-4.00"))
    held.book(booked("C", "1.00", "-1.00", owner="2000"))
    return held


def test_missing_are_the_expected_that_are_not_there(ledger: Ledger) -> None:
    assert ledger.missing(["A", "X", "C"]) == ["X"]
    assert ledger.missing(["A", "C"], owner="1000") == ["C"]


def test_unexpected_are_the_ones_that_nobody_asked_for(ledger: Ledger) -> None:
    assert ledger.unexpected(["A", "B"]) == ["C"]


def test_a_second_voucher_and_a_second_delivery_are_both_doubled(ledger: Ledger) -> None:
    assert ledger.doubled() == {}
    ledger.book(booked("A", "10.00", "-10.00"))
    ledger.book(booked("D", "1.00", "-1.00", "1.00", "-1.00", deliveries=2))
    assert ledger.doubled() == {"A": 2, "D": 2}


def test_sums_are_exact_per_account(ledger: Ledger) -> None:
    assert ledger.sums() == {"7100": Decimal("16.00"), "7101": Decimal("-15.00")}
    assert ledger.unbalanced() == ["B"]


def test_one_is_exactly_one(ledger: Ledger) -> None:
    assert ledger.one("A").debit == Decimal("10.00")
    with pytest.raises(LookupError, match="X is booked 0 times"):
        ledger.one("X")


def test_vouchers_are_found_by_their_senders_number(ledger: Ledger) -> None:
    assert [voucher.reference for voucher in ledger.by_number()[41]] == ["A", "B", "C"]


def test_the_system_settles_before_it_is_asked() -> None:
    late = booked("A", "1.00", "-1.00")
    settling = Ledger(lambda: settling.book(late) if not settling.raw() else None)
    assert settling.missing(["A"]) == []


def test_a_voucher_as_json_keeps_its_amounts_exact(ledger: Ledger) -> None:
    assert ledger.one("A").as_json()["lines"][0]["amount"] == "10.00"
