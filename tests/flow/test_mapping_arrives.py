"""What a mapping says (its account on that day, its VAT code, three dimensions) is what arrives, wherever it goes."""

from __future__ import annotations

import csv
import io
import json
from datetime import date

from dev.fakes import XledgerFake
from tests.fix_bilag import Line
from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.stories import story
from tests.flow.tenant import Tenant

CHANGED = date(2026, 2, 1)


def approve(org: Tenant, kind: str) -> None:
    """One claim with a line before the change and one after it; the line's own project wins over the mapping's."""
    both = {"DEPARTMENT": "110", "PROJECT": "P-17", "PRODUCT": "K-1"}
    org.map("Hotel", "7140", kind, vat_code="13")
    org.map("Hotel", "7150", kind, vat_code="1", valid_from=CHANGED, dimensions=both)
    org.claim(
        "C-1",
        Line("Hotel", "100.00", date(2026, 1, 31)),
        Line("Hotel", "200.00", CHANGED, dimensions={"PROJECT": "P-22"}),
    )


@story()
def test_three_dimensions_vat_codes_and_validity_reach_xledger(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation()
    approve(org, "xledger")
    org.request()
    here.worker()
    assert here.until_right().booked == 1
    (voucher,) = erp.ledger.vouchers(org.owner)
    assert [(entry.account, entry.vat_code, dict(entry.dimensions)) for entry in voucher.entries[:2]] == [
        ("7140", "13", {}),
        ("7150", "1", {"glObject1": "110", "project": "P-22", "product": "K-1"}),
    ]


@story()
def test_three_dimensions_vat_codes_and_validity_reach_a_file(here: Installation, erp: XledgerFake) -> None:
    org = Tenant(here.database, "Fillaget", "Europe/Oslo")
    org.integration("file", {"format": "csv"})
    approve(org, "file")
    run = org.request(kind="file")
    here.worker()
    until("the file is there", lambda: org.status(run)["file"])
    content = here.database.value("select content from bilag.export_files")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))
    assert [(row["account_code"], row["vat_code"], json.loads(row["dimensions"])) for row in rows] == [
        ("7140", "13", {}),
        ("7150", "1", {"DEPARTMENT": "110", "PROJECT": "P-22", "PRODUCT": "K-1"}),
        ("2910", "", {}),
    ]
