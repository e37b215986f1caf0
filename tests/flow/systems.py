"""The accounting systems that a story may have on its other side, and how an organisation is connected to each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from dev.fakes import Dynamics365Fake, XledgerFake
from dev.fakes.fake import Fake
from tests.flow.installation import Connecting


@dataclass(frozen=True)
class System:
    key: str
    make: Callable[[], Fake]
    connecting: Callable[[Fake], Connecting]


def _to_xledger(erp: Fake) -> Connecting:
    return Connecting("xledger", lambda _owner: {"base_url": erp.url})


def _to_business_central(bc: Fake) -> Connecting:
    token_url = bc.facts()["tokenUrl"]
    return Connecting(
        "dynamics365",
        lambda owner: {"base_url": bc.url, "token_url": token_url, "company_id": owner},
        lambda token: json.dumps({"client_id": Dynamics365Fake.client_id(token), "client_secret": token}),
    )


XLEDGER = System("xledger", lambda: XledgerFake(token=None), _to_xledger)
BUSINESS_CENTRAL = System("dynamics365", lambda: Dynamics365Fake(token=None), _to_business_central)
