"""What a job and an adapter say to each other: vouchers go down, outcomes and findings come up.

Nothing here knows Postgres, the queue or any one accounting system. An adapter is a subclass of
:class:`Adapter` in ``worker/adapters/<key>.py``; it is found by its file name, introduces itself through
:class:`Capabilities` and its settings model, and gets for each call a :class:`Call` that carries
configuration without secrets, an HTTP client and an awaitable that fetches the credential.
"""

from __future__ import annotations

from worker.contract.adapter import Adapter
from worker.contract.answers import Finding, Health, HealthResult, Outcome, Presence, Verdict
from worker.contract.call import Call
from worker.contract.capabilities import Capabilities
from worker.contract.frame import Frame
from worker.contract.vouchers import Batch, Line, Sending, Voucher

__all__ = [
    "Adapter",
    "Batch",
    "Call",
    "Capabilities",
    "Finding",
    "Frame",
    "Health",
    "HealthResult",
    "Line",
    "Outcome",
    "Presence",
    "Sending",
    "Verdict",
    "Voucher",
]
