"""What the views say of work that does not move: why, and what to do."""

from __future__ import annotations

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker


def test_what_does_not_move_is_stuck_with_why_and_what_to_do(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    assert bilag.database.sql("select what from bilag.stuck") == []
    bilag.advance(minutes=3)
    rows = bilag.database.sql("select organization, what, why, what_to_do from bilag.stuck")
    assert rows == [
        (
            "Testlaget", "lane", "Work has been due for more than two minutes and no worker has it.",
            "Look at bilag.workers; start one: bilag worker.",
        )
    ]  # fmt: skip
    bilag.database.sql("select bilag.pause_integration(%s, 'xledger', 'stocktaking')", org.id)
    assert bilag.database.sql("select what, why from bilag.stuck") == [("integration", "stocktaking")]


def test_a_pause_of_everything_is_told_by_overview_and_stuck_and_the_reason_to_operators(
    bilag: Bilag, org: Organisation
) -> None:
    org.claim("C-1")
    org.request()
    bilag.database.sql("select bilag.pause_everything('stocktaking')")
    bilag.advance(minutes=3)
    told = "All exports are paused."
    with bilag.database.as_user(org.member("member")) as member:
        assert member.execute("select status from bilag.overview").fetchall() == [(told,)]
        rows = member.execute("select what, why, what_to_do from bilag.stuck").fetchall()
        assert rows == [("lane", told, "resume_everything.")]
    assert bilag.database.value("select status from bilag.overview") == "All exports are paused: stocktaking"
    bilag.database.sql("select bilag.resume_everything()")
    assert bilag.database.value("select status from bilag.overview") == "due"


@pytest.mark.parametrize("status", ["queued", "waiting"])
def test_a_run_of_an_integration_that_was_disabled_is_stuck(
    bilag: Bilag, org: Organisation, worker: FakeWorker, status: str
) -> None:
    org.claim("C-1")
    run = org.request()
    if status == "waiting":
        worker.settle(worker.claim_one(), "accepted")
    bilag.database.sql("update bilag.integration_config set enabled = false")
    bilag.advance(minutes=20)
    assert org.status(run)["status"] == status
    rows = bilag.database.sql("select what, why, what_to_do from bilag.stuck where what like 'run %'")
    assert rows == [
        (f"run {run}", "The integration is disabled.", "Set enabled to true in bilag.integration_config.")
    ]  # fmt: skip
