"""SIGKILL of a real worker at every step of its way; another one finds the pieces, and each claim is booked once."""

from __future__ import annotations

from typing import LiteralString

from dev.fakes import XledgerFake
from tests.chaos.obstacles import HEARTBEATS, ITEMS, RUN, SCHEDULES, SECRETS, WRITE, locked, ready, stuck_in
from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.stories import story

CLAIMS = 12
SESSIONS: LiteralString = (
    "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'bilag worker'"
)


def finished_by_another(here: Installation, booked: int = CLAIMS) -> None:
    here.worker()
    assert here.until_right().booked == booked


@story(hasty=True)
def test_killed_after_the_mark_and_before_the_request(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation(claims=CLAIMS)
    unlucky = ready(here)
    with locked(here, SECRETS):
        org.request()
        org.until_state("sending", CLAIMS)
        stuck_in(here, "read_credential")
        unlucky.kill()
    assert erp.calls[WRITE] == 0
    finished_by_another(here)


@story(hasty=True)
def test_killed_while_its_request_is_on_the_way_and_it_never_arrives(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation(claims=CLAIMS)
    held = erp.hold_next(on=WRITE)
    org.request()
    unlucky = here.worker()
    assert held.arrived.wait(120)
    unlucky.kill()
    held.drop()
    finished_by_another(here)
    assert erp.calls[WRITE] == 2


@story(hasty=True)
def test_killed_after_its_request_was_executed_and_before_the_answer(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation(claims=CLAIMS)
    held = erp.hold_next(on=WRITE)
    org.request()
    unlucky = here.worker()
    assert held.arrived.wait(120)
    unlucky.kill()
    held.release()
    finished_by_another(here)
    assert erp.calls[WRITE] == 1


@story(hasty=True)
def test_killed_with_the_answer_in_its_socket_and_not_yet_read(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation(claims=CLAIMS)
    held = erp.hold_next(on=WRITE)
    org.request()
    unlucky = here.worker()
    assert held.arrived.wait(120)
    unlucky.freeze()
    held.release()
    assert held.committed.wait(10)
    unlucky.kill()
    finished_by_another(here)
    assert erp.calls[WRITE] == 1


@story(hasty=True)
def test_killed_in_the_middle_of_settling(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation(claims=CLAIMS)
    held = erp.hold_next(on=WRITE)
    org.request()
    unlucky = here.worker()
    assert held.arrived.wait(120)
    with locked(here, ITEMS):
        held.release()
        stuck_in(here, "settle_exports")
        unlucky.kill()
    finished_by_another(here)
    assert erp.calls[WRITE] == 1


@story(hasty=True)
def test_killed_in_the_middle_of_a_claim_that_has_already_taken_the_message(
    here: Installation, erp: XledgerFake
) -> None:
    org = here.organisation(claims=CLAIMS)
    unlucky = ready(here)
    org.request()
    org.until_state("accepted", CLAIMS)
    org.approve(CLAIMS, prefix="MORE")
    unlucky.freeze()
    org.request()
    with locked(here, RUN):
        unlucky.thaw()
        stuck_in(here, "claim_exports")
        unlucky.kill()
    finished_by_another(here, 2 * CLAIMS)


@story(hasty=True)
def test_killed_during_its_heartbeat_with_a_batch_inside_the_vendor(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation(claims=CLAIMS)
    held = erp.hold_next(on=WRITE)
    org.request()
    unlucky = here.worker()
    assert held.arrived.wait(120)
    with locked(here, HEARTBEATS):
        stuck_in(here, "beat")
        unlucky.kill()
    held.release()
    finished_by_another(here)


@story(hasty=True)
def test_killed_while_it_rescues_what_another_dead_worker_left(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation(claims=CLAIMS)
    erp.commit_then_hang(on=WRITE)
    org.request()
    first = here.worker()
    until("the batch is inside", lambda: not erp.unused())
    first.kill()
    with locked(here, ITEMS):
        second = here.worker()
        stuck_in(here, "claim_exports")
        second.kill()
    finished_by_another(here)
    assert erp.calls[WRITE] == 1


@story(hasty=True)
def test_killed_during_the_tick_that_it_took_over_from_pg_cron(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation(claims=CLAIMS)
    unlucky = ready(here)
    unlucky.kill()
    # The server ends what it was asked, a tick perhaps, though nobody hears the answer.
    until("its sessions are over", lambda: not here.database.value(SESSIONS))
    here.database.sql("update bilag.installation set ticked_at = null")
    org.request()
    here.database.sql("select pgmq.purge_queue('bilag_exports')")
    with locked(here, SCHEDULES):
        second = here.worker()
        stuck_in(here, "tick")
        second.kill()
    finished_by_another(here)


@story(hasty=True)
def test_killed_at_its_very_start_again_and_again(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation(claims=CLAIMS)
    org.request()
    for _ in range(4):
        here.worker().kill()
    finished_by_another(here)
