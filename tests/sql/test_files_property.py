"""What a preview says is what stands in the file, line by line, whatever the claims, the mappings and the settings."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fix_bilag import Bilag, Line, Organisation
from tests.gbat10 import read_gbat10
from tests.sql.file_worker import FileWorker, file_of

CATEGORIES = ["Taxi", "Meals", "Hotel", "Sauna"]
Told = tuple[int, str, str, Decimal, str, str]
"""A line: voucher number, posting date, account, amount, VAT code, dimensions."""

days = st.dates(date(2026, 1, 1), date(2026, 3, 10))
two = st.dictionaries(st.sampled_from(["DEPARTMENT", "PROJECT"]), st.sampled_from(["A1", "B2"]), max_size=2)
three = st.dictionaries(st.sampled_from(["DEPARTMENT", "PROJECT", "REGION"]), st.sampled_from(["A1", "B2"]))
amounts = st.decimals(Decimal(-5000), Decimal(100_000), places=2).filter(bool)


def mappings(dimensions: st.SearchStrategy[dict[str, str]]) -> st.SearchStrategy[list[Any]]:
    mapping = st.tuples(
        st.sampled_from(CATEGORIES[:-1]),
        st.sampled_from(["7100", "7140", "7150"]),
        st.one_of(st.none(), days),
        st.sampled_from([None, "1", "12"]),
        dimensions,
    )
    return st.lists(mapping, max_size=6, unique_by=lambda each: (each[0], each[2]))


def claims(dimensions: st.SearchStrategy[dict[str, str]]) -> st.SearchStrategy[list[Any]]:
    line = st.builds(Line, st.sampled_from(CATEGORIES), amounts, st.one_of(st.none(), days), dimensions=dimensions)
    return st.lists(
        st.tuples(st.lists(line, min_size=1, max_size=4), st.sampled_from(["NOK", "NOK", "EUR"])),
        min_size=1,
        max_size=6,
    )


def of_preview(shown: dict[str, Any], numbers: dict[str, int]) -> list[Told]:
    return [
        (
            numbers[voucher["claimNumber"]],
            voucher["postingDate"],
            line["account"],
            Decimal(line["amount"]),
            line["vatCode"] or "",
            json.dumps(line["dimensions"], sort_keys=True),
        )
        for voucher in shown["vouchers"]
        for line in voucher["lines"]
    ]


def of_csv(content: bytes) -> list[Told]:
    return [
        (
            int(row["voucher_number"]),
            row["posting_date"],
            row["account_code"],
            Decimal(row["amount"]),
            row["vat_code"],
            row["dimensions"],
        )
        for row in csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""), strict=True)
    ]


def of_gbat10(content: bytes) -> list[Told]:
    def dimensions(department: str, project: str) -> str:
        held = {"DEPARTMENT": department, "PROJECT": project}
        return json.dumps({name: value for name, value in held.items() if value}, sort_keys=True)

    return [
        (
            row.voucher_number,
            row.day.isoformat(),
            row.account,
            row.amount,
            row.vat_code if row.vat_code != "0" else "",
            dimensions(row.department, row.project),
        )
        for row in read_gbat10(content)
    ]


def make(bilag: Bilag, own: dict[str, Any], mapped: list[Any], approved: list[Any]) -> Organisation:
    org = Organisation(bilag.database, "Drawn", "Europe/Oslo", bilag.connection)
    org.integration("file", own)
    for category, account, since, vat, dimensions in mapped:
        org.map(category, account, "file", valid_from=since or "-infinity", vat_code=vat, dimensions=dimensions)
    for n, (lines, currency) in enumerate(approved):
        org.claim(f"C-{n}", *lines, currency=currency, documentation_url=f"https://app.example/{n}")
    return org


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), made=st.sampled_from(["csv", "gbat10"]), rule=st.sampled_from(["approved", "expense"]))
def test_a_file_holds_what_its_preview_said(
    bilag: Bilag, files: FileWorker, data: st.DataObject, made: str, rule: str
) -> None:
    dimensions = three if made == "csv" else two
    mapped, approved = data.draw(mappings(dimensions)), data.draw(claims(dimensions))
    org = make(bilag, {"format": made, "posting_date": rule, "voucher_number_from": 50_001}, mapped, approved)
    shown = org.preview(kind="file")
    run = org.request(kind="file")
    files.export()

    numbers = dict(
        bilag.database.sql(
            "select claim_number, voucher_number from bilag.claim_exports where org_id = %s and state = 'booked'",
            org.id,
        )
    )
    assert len(numbers) == shown["wouldBook"]
    content = file_of(org, run)
    assert (content is None) == (shown["wouldBook"] == 0)
    if content is not None:
        told = of_csv(content) if made == "csv" else of_gbat10(content)
        assert told == of_preview(shown, numbers)
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for line in told:
            sums[line[2]] += line[3]
        previewed: dict[str, Decimal] = defaultdict(Decimal)
        for each in shown["sums"]:
            previewed[each["account"]] += Decimal(each["amount"])
        assert sums == previewed
