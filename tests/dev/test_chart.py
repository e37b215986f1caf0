"""The chart and the categories fit each other."""

from __future__ import annotations

from dev import chart


def test_every_category_is_booked_on_an_account_of_the_chart() -> None:
    assert {category.account for category in chart.CATEGORIES.values()} <= set(chart.ACCOUNTS)
    assert chart.SETTLEMENT_ACCOUNT in chart.ACCOUNTS


def test_every_vat_code_of_a_category_is_a_tax_rule() -> None:
    assert {category.vat_code for category in chart.CATEGORIES.values()} - {None} <= set(chart.TAX_RULES)


def test_accounts_have_the_four_digits_of_ns_4102() -> None:
    assert all(len(number) == 4 and number.isdigit() and number[0] in "12345678" for number in chart.ACCOUNTS)


def test_there_are_about_forty_categories_and_the_unmapped_are_not_among_them() -> None:
    assert len(chart.CATEGORIES) >= 40
    assert not set(chart.UNMAPPED) & set(chart.CATEGORIES)
