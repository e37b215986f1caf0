"""Stopping a worker: what is in flight is finished, the rest is given back, and nobody waits for a lease to end."""

from __future__ import annotations

from dev.fakes import XledgerFake
from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.stories import story
from tests.flow.tenant import Tenant

WRITE = "addGLImportItems"


def leases(here: Installation) -> int:
    return int(here.database.value("select count(*) from bilag.export_lanes where lease_token is not null"))


def sent(org: Tenant) -> int:
    return org.count("accepted") + org.count("exported")


@story()
def test_sigterm_lets_the_batch_in_flight_finish_and_gives_the_rest_back(here: Installation, erp: XledgerFake) -> None:
    here.small_batches(10)
    org = here.organisation(claims=40)
    held = erp.hold_next(on=WRITE, skip=1)
    org.request()
    worker = here.worker()
    assert held.arrived.wait(120)
    worker.terminate()
    worker.said("worker.stopping")
    held.release()
    assert worker.ended() == 0
    assert (sent(org), org.count("pending"), org.count("sending"), leases(here)) == (20, 20, 0, 0)
    here.worker()
    assert here.until_right().booked == 40
    assert erp.calls[WRITE] == 4, "nothing was sent twice, not even to be refused"


@story()
def test_what_does_not_end_within_the_grace_period_is_given_back_in_doubt(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation(claims=10)
    erp.commit_then_hang(on=WRITE)
    org.request()
    worker = here.worker(BILAG_SHUTDOWN_GRACE_SECONDS="0.2")
    until("the batch is inside", lambda: not erp.unused())
    assert worker.stop() == 0
    assert (org.count("in_doubt"), leases(here)) == (10, 0)
    here.worker()
    assert here.until_right().booked == 10
    assert erp.calls[WRITE] == 1, "it was found, not sent again"


@story(hasty=True)
def test_a_second_sigterm_stops_at_once_and_the_lease_runs_out(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation(claims=10)
    held = erp.hold_next(on=WRITE)
    org.request()
    worker = here.worker()
    assert held.arrived.wait(120)
    worker.terminate()
    worker.said("worker.stopping")
    worker.terminate()
    assert worker.ended() == 128 + 15
    assert (org.count("sending"), leases(here)) == (10, 1)
    held.release()
    here.worker()
    assert here.until_right().booked == 10
