"""A credential that was changed may reach another ledger: what is not found there is not absent."""

from __future__ import annotations

from typing import LiteralString

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker

SET: LiteralString = "select bilag.set_integration_credential(%s, 'xledger', %s)"


def test_a_credential_that_does_not_find_what_was_accepted_pauses_its_integration(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    bilag.database.sql(SET, org.id, "the token of one ledger")
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "accepted")
    bilag.database.sql(SET, org.id, "the token of another ledger")
    bilag.advance(minutes=5)
    worker.settle(worker.claim_one(), "absent")
    assert org.states() == {"C-1": "in_doubt"}
    assert bilag.database.sql("select paused_reason_code from bilag.integration_config") == [
        ("credential_other_ledger",)
    ]
    assert bilag.database.sql("select kind from bilag.open_alerts where kind = 'credential'") == [("credential",)]
    assert worker.claim() == []
    bilag.database.sql(SET, org.id, "the token of one ledger")
    assert bilag.database.sql("select paused_at from bilag.integration_config") == [(None,)]
    bilag.advance(minutes=5)
    worker.settle(worker.claim_one(), "exported")
    assert org.states() == {"C-1": "exported"}


def test_what_is_in_doubt_is_not_sent_again_because_another_credential_does_not_find_it(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    bilag.database.sql(SET, org.id, "the token of one ledger")
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "unknown")
    bilag.database.sql(SET, org.id, "the token of another ledger")
    for _ in range(3):
        bilag.advance(days=1)
        worker.settle(worker.claim_one(), "absent")
    assert org.states() == {"C-1": "in_doubt"}
    assert bilag.database.sql("select reason_code from bilag.export_items") == [("credential_changed",)]
