"""What a lane hands out is its own run's, and a run that is over hands out nothing."""

from __future__ import annotations

from tests.fix_bilag import Organisation
from tests.sql.fake_worker import FakeWorker


def test_a_run_that_was_cancelled_in_the_meantime_ends_and_takes_no_claims(
    org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    run = org.request()
    org.database.sql("update bilag.export_runs set cancel_requested_at = bilag_internal.now()")
    assert worker.claim() == []
    status = org.status(run)
    assert (status["status"], status["error"]) == ("cancelled", None)
    assert org.states() == {}
    org.request()
    worker.work()
    assert org.states() == {"C-1": "exported"}
