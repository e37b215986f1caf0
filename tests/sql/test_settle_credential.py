"""A credential that was changed may reach another ledger: what is not found there is not absent."""

from __future__ import annotations

from typing import LiteralString

from psycopg.types.json import Jsonb

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker, report
from tests.sql.sessions import two_sessions

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


def test_what_the_system_could_not_import_and_another_credential_does_not_find_pauses_nothing(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    """It was never booked: that it is not there says nothing of the ledger."""
    bilag.database.sql(SET, org.id, "the token of one ledger")
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "accepted")
    bilag.advance(minutes=5)
    worker.settle(worker.claim_one(), "import_error")
    bilag.database.sql(SET, org.id, "the token of another ledger")
    bilag.advance(minutes=5)
    worker.settle(worker.claim_one(), "absent")
    assert org.states() == {"C-1": "in_doubt"}
    assert bilag.database.sql("select paused_at from bilag.integration_config") == [(None,)]


def test_an_integration_that_somebody_is_changing_is_paused_by_the_next_look(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    bilag.database.sql(SET, org.id, "the token of one ledger")
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "accepted")
    bilag.database.sql(SET, org.id, "the token of another ledger")
    bilag.advance(minutes=5)
    look = worker.claim_one()
    paused: LiteralString = "select paused_reason_code from bilag.integration_config"
    with two_sessions(bilag.database) as (person, settling):
        person.run("select from bilag.integration_config for no key update")
        settling.run("set local lock_timeout = '5s'")
        settling.run("select bilag_internal.settle_exports(%s, %s)", worker.id, Jsonb([report(look, "absent")]))
        settling.commit()
        person.commit()
    assert (org.states(), bilag.database.value(paused)) == ({"C-1": "accepted"}, None)
    bilag.advance(minutes=5)
    worker.settle(worker.claim_one(), "absent")
    assert (org.states(), bilag.database.value(paused)) == ({"C-1": "in_doubt"}, "credential_other_ledger")


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
