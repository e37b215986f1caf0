"""An organisation of a story whose runs become files, and the one question about them."""

from __future__ import annotations

import csv
import io
from collections import Counter
from typing import Any

from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.tenant import Tenant
from tests.gbat10 import read_gbat10


class FileClub(Tenant):
    """Taxi and Meals are mapped, and nothing needs a credential."""

    def __init__(self, here: Installation, *, claims: int = 0, **settings: Any) -> None:
        super().__init__(here.database, "Fillaget", "Europe/Oslo")
        self.token = "nobody-has-one-of-files"
        self.integration("file", {"format": "csv", **settings})
        self.map("Taxi", "7140", "file")
        self.map("Meals", "7150", "file")
        if claims:
            self.approve(claims)

    def files(self) -> list[bytes]:
        """All files there are, the oldest first."""
        return [
            content
            for (content,) in self.database.sql(
                "select content from bilag.export_files where org_id = %s order by created_at", self.id
            )
        ]

    def written(self) -> Counter[str]:
        """How often the voucher of each claim stands in a file, by our reference."""
        found: Counter[str] = Counter()
        for content in self.files():
            if content.startswith(b"GBAT10"):
                found.update({row.invoice for row in read_gbat10(content)})
                continue
            rows = list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""), strict=True))
            found.update(row["reference"] for row in rows if row["account_code"] == "2910")
        return found

    def exported(self) -> set[str]:
        """The references that the database calls exported, of runs that have ended."""
        rows = self.database.sql(
            "select i.reference from bilag.export_items i join bilag.export_runs r on r.id = i.run_id"
            " where i.org_id = %s and i.state = 'exported' and r.finished_at is not null",
            self.id,
        )
        return {reference for (reference,) in rows}

    def until_written(self, claims: int) -> None:
        """Wait until so many claims are exported; then each must stand in one file, once, and nothing else may."""
        until(
            f"{claims} claims are exported",
            lambda: len(self.exported()) == claims,
            told=lambda: f"{self.states('file')} {self.database.sql('select * from bilag.export_runs')}",
        )
        assert self.written() == Counter(dict.fromkeys(self.exported(), 1))
