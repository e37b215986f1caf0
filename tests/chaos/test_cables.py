"""Cables cut at the worst moment: to Postgres, right after a COMMIT too, and to the vendor after it booked."""

from __future__ import annotations

from collections.abc import Callable

from dev.fakes import XledgerFake
from tests.chaos.obstacles import WRITE
from tests.chaos.proxy import Proxy
from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.stories import story


@story(hasty=True)
def test_the_cable_to_postgres_is_cut_in_the_middle_of_a_run_and_again(here: Installation, erp: XledgerFake) -> None:
    here.small_batches(4)
    erp.latency = 0.1
    org = here.organisation(claims=40)
    with Proxy(here.database.dsn) as cable:
        org.request()
        worker = here.worker(dsn=cable.dsn)
        for batch in range(1, 6):
            until("another batch was sent", lambda batch=batch: erp.calls[WRITE] >= batch)  # type: ignore[misc]
            cable.cut()
        assert here.until_right().booked == 40
        assert worker.alive
        assert cable.cuts >= 5


@story(hasty=True)
def test_the_commit_of_a_claim_is_carried_out_and_its_worker_never_hears_of_it(
    here: Installation, erp: XledgerFake
) -> None:
    org = here.organisation(claims=12)
    with Proxy(here.database.dsn) as cable:
        worker = here.worker(dsn=cable.dsn)
        worker.said("worker.started")
        cable.cut_after_commit_of("claim_exports")
        until("the cable is cut", lambda: not cable.still_doomed)
        org.request()
        cable.cut_after_commit_of("claim_exports")
        assert here.until_right().booked == 12
        assert not cable.still_doomed
        assert worker.alive
    assert erp.calls[WRITE] == 1


@story(hasty=True)
def test_the_commit_of_a_settling_is_carried_out_and_its_worker_tells_it_again(
    here: Installation, erp: XledgerFake
) -> None:
    here.small_batches(4)
    org = here.organisation(claims=12)
    with Proxy(here.database.dsn) as cable:
        cable.cut_after_commit_of("settle_exports")
        org.request()
        here.worker(dsn=cable.dsn)
        assert here.until_right().booked == 12
        assert not cable.still_doomed
    assert erp.calls[WRITE] == 3
    assert "doubled" not in here.alerts()


@story(hasty=True)
def test_sessions_terminated_by_a_dba_cost_nothing_but_a_moment(here: Installation, erp: XledgerFake) -> None:
    here.small_batches(4)
    erp.latency = 0.1
    org = here.organisation(claims=40)
    org.request()
    worker = here.worker()
    for batch in range(1, 8):
        until("another batch was sent", lambda batch=batch: erp.calls[WRITE] >= batch)  # type: ignore[misc]
        here.database.sql(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and application_name like 'bilag worker%%'"
        )
    assert here.until_right().booked == 40
    assert worker.alive


@story(hasty=True)
def test_the_cable_to_the_vendor_is_cut_after_it_booked(here: Installation, erp: XledgerFake) -> None:
    faults: list[Callable[..., None]] = [erp.commit_then_reset, erp.truncate_next, erp.commit_then_status]
    for n, fault in enumerate(faults):
        fault(on=WRITE)
        here.organisation(f"Lag {n}", claims=4).request()
    erp.truncate_next(cut=True, on=WRITE)
    here.organisation("Lag 3", claims=4).request()
    here.worker()
    assert here.until_right().booked == 16
    assert erp.calls[WRITE] == 4, "all four were found, none was sent again"
