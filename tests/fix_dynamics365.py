"""Fixtures: a served Business Central, and the Dynamics 365 adapter's other side."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest

from dev.fakes import Dynamics365Fake, serving
from tests.fix_fakes import ended

if TYPE_CHECKING:
    from tests.adapters.vendor import Vendor
    from tests.dev.bc_client import BcClient

SECRET = "test-secret"


@pytest.fixture
def bc() -> Iterator[Dynamics365Fake]:
    """A served Business Central with one company, reached by the application with the secret ``test-secret``."""
    with serving(Dynamics365Fake(token=SECRET)) as fake:
        yield fake
        ended(fake)


@pytest.fixture
async def dynamics365(bc: Dynamics365Fake) -> AsyncIterator[Vendor]:
    """A served Business Central, and calls to it."""
    from tests.adapters.vendor import Vendor

    vendor = Vendor(
        key="dynamics365",
        fake=bc,
        writes="post",
        reads="GET $batch",
        settings={
            "base_url": bc.url,
            "token_url": bc.token_url,
            "company_id": bc.company.code,
            "settlement_account": "2910",
        },
        secret=json.dumps({"client_id": bc.client_id(SECRET), "client_secret": SECRET}),
        finish=lambda: None,
    )
    yield vendor
    await vendor.close()


@pytest.fixture
def bc_client(bc: Dynamics365Fake) -> Iterator[BcClient]:
    """Somebody who talks OData to the served Business Central."""
    from tests.dev.bc_client import BcClient

    asking = BcClient(bc)
    yield asking
    asking.close()
