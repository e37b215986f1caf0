"""Reads a GBAT10 file column by column, by the format's description alone: it shares nothing with who writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

WIDTHS = {6: 4, 11: 30, 15: 25, 16: 30, 20: 100, 21: 100, 23: 6, 24: 4}
REQUIRED = (0, 2, 3, 4, 5, 6, 7, 8)


class NotGbat10(AssertionError):
    """A line that the format does not allow; the text says which column of which line."""


@dataclass(frozen=True)
class Row:
    voucher_number: int
    day: date
    voucher_type: str
    account: str
    vat_code: str
    amount: Decimal
    supplier: str
    invoice: str
    text: str
    project: str
    department: str
    columns: tuple[str, ...]


def read_gbat10(content: bytes, encoding: str = "utf-8") -> list[Row]:
    """The rows of a file. Raises NotGbat10 when a line breaks the format, or a voucher is out of balance or torn."""
    lines = content.decode(encoding).split("\r\n")
    if lines.pop() != "":
        raise NotGbat10("the last line has no end")
    rows = [_row(number, line) for number, line in enumerate(lines, start=1)]
    _vouchers_are_whole(rows)
    return rows


def _row(number: int, line: str) -> Row:
    columns = line.split(";")

    def need(column: int, holds: object, what: str) -> None:
        if not holds:
            raise NotGbat10(f"line {number}, column {column}: {what}: {columns[column]!r}")

    if len(columns) != 30:
        raise NotGbat10(f"line {number} has {len(columns)} columns")
    for column in REQUIRED:
        need(column, columns[column], "required")
    for column, width in WIDTHS.items():
        need(column, len(columns[column]) <= width, f"wider than {width}")
    need(0, columns[0] == "GBAT10", "not the name of the format")
    need(1, re.fullmatch(r"[0-9]{1,8}", columns[1]), "not a voucher number")
    need(2, re.fullmatch(r"[0-9]{8}", columns[2]), "not a date")
    day = datetime.strptime(columns[2], "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone
    need(3, columns[3].isdigit(), "not a voucher type")
    need(4, columns[4] == str(day.month), "not the period of the date")
    need(5, columns[5] == str(day.year), "not the year of the date")
    need(8, re.fullmatch(r"-?[0-9]+\.[0-9]{2}", columns[8]), "not an amount")
    need(26, columns[26] in ("", "T", "F"), "neither T nor F")
    need(27, (columns[27] == "") == (columns[26] == ""), "a gross sum without its mark")
    for column in (9, 12, 13, 14, 16, 17, 18, 19, 22, 25, 28, 29):
        need(column, columns[column] == "", "nothing of ours belongs here")
    need(20, not re.search(r"[\x00-\x1f\x7f\"]", columns[20]), "a character that the format cannot hold")
    return Row(
        voucher_number=int(columns[1]),
        day=day,
        voucher_type=columns[3],
        account=columns[6],
        vat_code=columns[7],
        amount=Decimal(columns[8]),
        supplier=columns[10],
        invoice=columns[15],
        text=columns[20],
        project=columns[23],
        department=columns[24],
        columns=tuple(columns),
    )


def _vouchers_are_whole(rows: list[Row]) -> None:
    """The voucher number separates vouchers: the lines of one stand together, and sum to zero."""
    order = list(dict.fromkeys(row.voucher_number for row in rows))
    if [row.voucher_number for row in rows] != sorted((row.voucher_number for row in rows), key=order.index):
        raise NotGbat10("a voucher is torn apart")
    for number in order:
        balance = sum((row.amount for row in rows if row.voucher_number == number), Decimal(0))
        if balance:
            raise NotGbat10(f"voucher {number} is out of balance by {balance}")
