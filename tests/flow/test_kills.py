"""A worker dies, or the database does, at the worst moment: every voucher is in the ledger exactly once."""

from __future__ import annotations

from dev.fakes import XledgerFake
from dev.postgres.server import RestartMode
from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.stories import story


@story(hasty=True)
def test_a_worker_killed_between_sent_and_settled_books_every_voucher_exactly_once(
    here: Installation, erp: XledgerFake
) -> None:
    here.small_batches(10)
    org = here.organisation(claims=50)
    erp.commit_then_hang(on="addGLImportItems", skip=2)
    org.request()
    unlucky = here.worker()
    until("the third batch is inside", lambda: not erp.unused())
    unlucky.kill()
    here.worker()
    assert here.until_right().booked == 50


@story(own_server=True, hasty=True)
def test_postgres_restarted_in_the_middle_of_a_run_loses_and_doubles_nothing(
    here: Installation, erp: XledgerFake
) -> None:
    restarted_in_the_middle(here, erp, "fast")


@story(own_server=True, hasty=True)
def test_postgres_crashing_in_the_middle_of_a_run_loses_and_doubles_nothing(
    here: Installation, erp: XledgerFake
) -> None:
    restarted_in_the_middle(here, erp, "immediate")


def restarted_in_the_middle(here: Installation, erp: XledgerFake, mode: RestartMode) -> None:
    here.small_batches(5)
    org = here.organisation(claims=60)
    erp.latency = 0.1
    run = org.request()
    worker = here.worker()
    org.until_state("accepted", 20)
    here.restart(mode)
    assert here.until_right().booked == 60
    assert org.until_ended(run)["status"] == "succeeded"
    assert worker.alive
    told = [len(worker.events(f"database.{what}")) for what in ("lost", "reconnected")]
    # A busy machine may make a second outage of the first one's end.
    assert told[0] == told[1] <= 2, "an outage is told once, and its end"
