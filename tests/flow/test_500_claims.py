"""Requirement D3: 500 claims with complex mappings within 8 seconds. The one test that times something."""

from __future__ import annotations

import time
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from dev.chart import CATEGORIES, PRODUCTS
from dev.fakes.remote import RemoteFake
from dev.sample import Organization, claims
from tests.flow.budget import keep_budget
from tests.flow.installation import Installation
from tests.flow.systems import BUSINESS_CENTRAL, XLEDGER
from tests.flow.tenant import Tenant

CHANGED = date(2026, 6, 1)
"""From then on every category has another account, and a department of its own when its line names none."""
LATER_ACCOUNT = "7790"
PRODUCT = min(PRODUCTS)
FIELDS = {
    "xledger": ("glObject1", "project", "product"),
    "dynamics365": ("DEPARTMENT", "PROJECT", "PRODUCT"),
}
"""Where each system keeps the three dimensions."""


@pytest.mark.parametrize("here_alone", [XLEDGER, BUSINESS_CENTRAL], indirect=True, ids=lambda system: system.key)
def test_500_claims_with_complex_mappings_are_booked_within_8_seconds_at_150_ms_a_call(
    here_alone: tuple[Installation, RemoteFake],
) -> None:
    here, erp = here_alone
    erp.set(latency=0.15)
    here.worker().said("worker.started")

    def export(number: int) -> float:
        org = here.organisation("Landslaget")
        map_by_date(org)
        sample = list(claims(Organization("Landslaget", f"99988877{number}", org.kind, claims=500, unmapped=0)))
        org.database.sql("select bilag.upsert_claims(%s, %s)", org.id, Jsonb(sample))

        began = time.monotonic()
        status = org.until_ended(org.request())
        took = time.monotonic() - began

        assert (status["status"], status["claims"]["exported"]) == ("succeeded", 500)
        assert here.verdict().is_right
        assert booked_lines(erp, org) == sorted(expected_lines(sample))
        return took

    keep_budget(export)


def map_by_date(org: Tenant) -> None:
    for name, category in CATEGORIES.items():
        org.map(name, category.account, vat_code=category.vat_code, dimensions={"PRODUCT": PRODUCT})
        org.map(name, LATER_ACCOUNT, valid_from=CHANGED, dimensions={"PROJECT": "P-41", "PRODUCT": PRODUCT})


def expected_lines(sample: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """What the ledger must hold, worked out line by line."""
    found = []
    for claim in sample:
        for line in claim["lines"]:
            later = date.fromisoformat(line["expense_date"]) >= CHANGED
            category = CATEGORIES[line["category"]]
            dimensions = ({"PROJECT": "P-41"} if later else {}) | {"PRODUCT": PRODUCT} | line["dimensions"]
            account, vat = (LATER_ACCOUNT, None) if later else (category.account, category.vat_code)
            coded = [dimensions.get(name) for name in FIELDS["dynamics365"]]
            found.append(tuple(map(str, (account, f"{float(line['amount']):.2f}", vat, *coded))))
    return found


def booked_lines(erp: RemoteFake, org: Tenant) -> list[tuple[str, ...]]:
    """The debit lines of the ledger."""
    return sorted(
        (
            line["account"],
            line["amount"],
            str(line["vatCode"]),
            *(str(line["dimensions"].get(field)) for field in FIELDS[org.kind]),
        )
        for voucher in erp.vouchers(org.owner)
        for line in voucher["lines"]
        if Decimal(line["amount"]) > 0
    )
