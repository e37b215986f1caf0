"""The accounting systems that a story may have on its other side, and how an organisation is connected to each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dev.fakes import Dynamics365Fake, XledgerFake
from dev.fakes.fake import Fake
from tests.flow.installation import Connecting


@dataclass(frozen=True)
class System:
    """``connecting`` takes the URL of a fake and its facts, wherever it runs."""

    key: str
    make: Callable[[], Fake]
    connecting: Callable[[str, Mapping[str, Any]], Connecting]


def _to_xledger(url: str, _facts: Mapping[str, Any]) -> Connecting:
    return Connecting("xledger", lambda _owner: {"base_url": url})


def _to_business_central(url: str, facts: Mapping[str, Any]) -> Connecting:
    return Connecting(
        "dynamics365",
        lambda owner: {"base_url": url, "token_url": facts["tokenUrl"], "company_id": owner},
        lambda token: json.dumps({"client_id": Dynamics365Fake.client_id(token), "client_secret": token}),
    )


XLEDGER = System("xledger", lambda: XledgerFake(token=None), _to_xledger)
BUSINESS_CENTRAL = System("dynamics365", lambda: Dynamics365Fake(token=None), _to_business_central)
