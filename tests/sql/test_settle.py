"""Outcomes become states, guarded by attempt and state."""

from __future__ import annotations

from tests.fix_bilag import Organisation
from tests.sql.fake_worker import FakeWorker


def test_an_exported_voucher_is_booked(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    run = org.request()
    worker.settle(worker.claim_one(), "exported")
    assert org.states() == {"C-1": "exported"}
    assert org.status(run)["status"] == "succeeded"
