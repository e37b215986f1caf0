"""Whatever people write in a claim, a file of it reads back to the cent, and what was lost of a text is told."""

from __future__ import annotations

import asyncio
import re
from decimal import Decimal

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.adapters.shelf import Shelf
from tests.adapters.vendor import voucher_of
from tests.gbat10 import read_gbat10
from worker.contract import Line, Outcome, Verdict

HOSTILE = ["=cmd|' /C calc'!A0", '"', '""', ",", ";", "\r\n", "\n", "\r", "\0", "\u202eevil", "😀", "\ufeff=1", "'"]
HOSTILE += ["\t", "\ud800", "\u200b", "-1", "+", "@", "'=1"]
CELL = 32_767
texts = st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=30)), max_size=6).map("".join)
amounts = st.decimals(Decimal("-999999999.99"), Decimal("999999999.99"), places=2)
cells = st.tuples(texts, amounts)


def shelved(made: str, lines: list[tuple[str, Decimal]], encoding: str = "utf-8") -> tuple[Shelf, Outcome]:
    shelf = Shelf(format=made, **({} if made == "csv" else {"encoding": encoding}))
    debits = [Line(no, "7140", amount, text) for no, (text, amount) in enumerate(lines, start=1)]
    settlement = Line(len(debits) + 1, "2910", -sum((amount for _, amount in lines), Decimal(0)), "Oppgjør")
    (outcome,) = asyncio.run(shelf.post(voucher_of(*debits, settlement)))
    assert outcome.verdict is Verdict.EXPORTED
    return shelf, outcome


def untamed(text: str) -> str:
    return text[1:] if re.match(r"'+([\t\r\n]|[\s\ufeff]*[=+\-@＝＋－＠])", text) else text


@settings(max_examples=150, deadline=None)
@given(lines=st.lists(cells, min_size=1, max_size=4))
@example(lines=[("x" * 1_000_000, Decimal(1))])
@example(lines=[("=" * 1_000_000, Decimal(1))])
def test_a_csv_reads_back_as_it_was_written(lines: list[tuple[str, Decimal]]) -> None:
    shelf, outcome = shelved("csv", lines)
    rows = shelf.csv_rows()
    assert [Decimal(row["amount"]) for row in rows] == [
        *(amount for _, amount in lines),
        -sum((amount for _, amount in lines), Decimal(0)),
    ]
    assert sum(Decimal(row["amount"]) for row in rows) == 0
    read = [untamed(row["description"]) for row in rows[:-1]]
    whole = [re.sub("\0|[\ud800-\udfff]", "�", text).replace("�", "?") for text, _ in lines]
    for text, row in zip(read, rows, strict=False):
        expected = whole.pop(0)
        assert text.replace("�", "?") == expected[: CELL - (len(row["description"]) - len(text))]
    lost = any(re.search("\0|[\ud800-\udfff]", text) or len(text) > CELL for text, _ in lines)
    assert (outcome.reason_code == "text_altered") == lost


@settings(max_examples=150, deadline=None)
@given(lines=st.lists(cells, min_size=1, max_size=4), encoding=st.sampled_from(["utf-8", "windows-1252", "iso-8859-1"]))
@example(lines=[("x;" * 500_000, Decimal(1))], encoding="windows-1252")
def test_a_gbat10_file_is_whole_in_every_encoding_and_what_was_lost_is_told(
    lines: list[tuple[str, Decimal]], encoding: str
) -> None:
    shelf, outcome = shelved("gbat10", lines, encoding)
    rows = read_gbat10(shelf.files[-1], encoding)
    assert [row.amount for row in rows[:-1]] == [amount for _, amount in lines]
    kept = all(text in row.text for row, (text, _) in zip(rows, lines, strict=False))
    assert kept or outcome.reason_code == "text_altered", "nothing is lost silently"
    message = outcome.reason_params.get("message", "")
    assert len(message) < 450
    message.encode("utf-8")
