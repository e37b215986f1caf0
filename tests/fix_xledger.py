"""Fixture: the Xledger adapter's other side, its import job in the test's hands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from dev.fakes import XledgerFake

if TYPE_CHECKING:
    from tests.adapters.vendor import Vendor


@pytest.fixture
async def xledger(erp: XledgerFake) -> AsyncIterator[Vendor]:
    """A served Xledger that imports only when it is told to, and calls to it."""
    from tests.adapters.vendor import Vendor

    erp.import_delay = None
    vendor = Vendor(
        key="xledger",
        fake=erp,
        writes="addGLImportItems",
        reads="glImportItems",
        settings={"base_url": erp.url, "settlement_account": "2910"},
        secret="test-token",
        finish=erp.run_import,
    )
    yield vendor
    await vendor.close()
