"""The other side of the file adapter: a shelf of files, and an accountant who books what the files say."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from dev.fakes.ledger import Booked, Entry, Ledger
from tests.adapters.vendor import Vendor
from tests.gbat10 import read_gbat10
from worker.contract import Outcome, Verdict, Voucher

Told = tuple[str, int, date, str, Entry]


class Shelf(Vendor):
    """``files`` are what was written, one of each batch: its frame, and in it the vouchers that were exported."""

    def __init__(self, **settings: Any) -> None:
        desk: Any = SimpleNamespace(ledger=Ledger())
        super().__init__(
            key="file",
            fake=desk,
            writes="",
            reads="",
            settings={"settlement_account": "2910", **settings},
            secret="",
            finish=lambda: None,
        )
        self.files: list[bytes] = []

    @property
    def encoding(self) -> str:
        return str(self.settings.get("encoding", "utf-8"))

    async def post(self, *vouchers: Voucher) -> Sequence[Outcome]:
        outcomes = await super().post(*vouchers)
        frame = self.adapter.frame(self.call().settings)
        assert frame is not None
        content = [outcome.content or b"" for outcome in outcomes if outcome.verdict is Verdict.EXPORTED]
        self.files.append(frame.head + b"".join(content) + frame.tail)
        self._book(self._csv() if self.settings["format"] == "csv" else self._gbat10())
        return outcomes

    def csv_rows(self) -> list[dict[str, str]]:
        """The last file, as Python's own reader reads it."""
        return list(csv.DictReader(io.StringIO(self.files[-1].decode("utf-8"), newline=""), strict=True))

    def _csv(self) -> list[Told]:
        return [
            (
                row["reference"],
                int(row["voucher_number"]),
                date.fromisoformat(row["posting_date"]),
                row["currency"],
                Entry(nth, row["account_code"], Decimal(row["amount"]), row["description"]),
            )
            for nth, row in enumerate(self.csv_rows())
        ]

    def _gbat10(self) -> list[Told]:
        return [
            (row.invoice, row.voucher_number, row.day, "NOK", Entry(nth, row.account, row.amount, row.text))
            for nth, row in enumerate(read_gbat10(self.files[-1], self.encoding))
        ]

    def _book(self, lines: list[Told]) -> None:
        vouchers: dict[tuple[str, int, date, str], list[Entry]] = defaultdict(list)
        for *voucher, entry in lines:
            vouchers[tuple(voucher)].append(entry)  # type: ignore[index]
        for (reference, number, day, currency), entries in vouchers.items():
            booked = Booked(
                0, number, reference, number, "1", day, datetime.now(UTC), currency, tuple(entries), by="accountant"
            )
            self.fake.ledger.book(booked)
