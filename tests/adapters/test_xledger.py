"""The Xledger adapter keeps the contract of all adapters. What is Xledger's own is in ``test_xledger_*.py``."""

from __future__ import annotations

import pytest

from tests.adapters.contract_suite import AdapterContract
from tests.adapters.vendor import Vendor


class TestXledger(AdapterContract):
    key = "xledger"

    @pytest.fixture
    def vendor(self, xledger: Vendor) -> Vendor:
        return xledger
