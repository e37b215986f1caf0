"""A lease is lost while its owner still lives, or while the vendor still works: who may write, and who is believed."""

from __future__ import annotations

from dev.fakes import XledgerFake
from tests.chaos.obstacles import SECRETS, WRITE, locked, ready, stuck_in
from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.stories import story

CLAIMS = 6


@story(hasty=True)
def test_a_worker_frozen_between_mark_and_send_wakes_up_after_the_take_over_and_sends_nothing(
    here: Installation, erp: XledgerFake
) -> None:
    org = here.organisation(claims=CLAIMS)
    sleeper = ready(here)
    with locked(here, SECRETS):
        org.request()
        org.until_state("sending", CLAIMS)
        stuck_in(here, "read_credential")
        sleeper.freeze()
    here.worker()
    assert here.until_right().booked == CLAIMS
    sleeper.thaw()
    assert sleeper.stop() == 0
    assert erp.calls[WRITE] == 1
    assert here.until_right().booked == CLAIMS
    assert "doubled" not in here.alerts()


@story(hasty=True)
def test_a_worker_frozen_with_the_answer_in_its_socket_reports_late_and_changes_nothing(
    here: Installation, erp: XledgerFake
) -> None:
    org = here.organisation(claims=CLAIMS)
    held = erp.hold_next(on=WRITE)
    org.request()
    sleeper = here.worker()
    assert held.arrived.wait(120)
    sleeper.freeze()
    held.release()
    assert held.committed.wait(10)
    here.worker()
    assert here.until_right().booked == CLAIMS
    before = here.database.sql("select id, state, attempt, settled_at from bilag.export_items order by id")
    sleeper.thaw()
    assert sleeper.stop() == 0
    assert here.database.sql("select id, state, attempt, settled_at from bilag.export_items order by id") == before
    assert "doubled" not in here.alerts()


@story(hasty=True)
def test_a_request_held_inside_the_vendor_and_executed_after_the_take_over_is_not_sent_again(
    here: Installation, erp: XledgerFake
) -> None:
    here.database.sql("update bilag.integration_types set absence_after = '60 s'")
    org = here.organisation(claims=CLAIMS)
    held = erp.hold_next(on=WRITE)
    org.request()
    unlucky = here.worker()
    assert held.arrived.wait(120)
    unlucky.kill()
    here.worker()
    looked = "select coalesce(min(looks), 0) from bilag.export_items"
    until("the successor has looked and found nothing", lambda: here.database.value(looked))
    assert (org.count("in_doubt"), erp.calls[WRITE]) == (CLAIMS, 1)
    assert "in_doubt" in here.alerts()
    held.release()
    assert held.committed.wait(10)
    here.look_now()
    assert here.until_right().booked == CLAIMS
    assert erp.calls[WRITE] == 1
    assert "in_doubt" not in here.alerts()


@story(hasty=True)
def test_a_vendor_that_executes_just_after_the_timeout_is_found_out_and_not_asked_twice(
    here: Installation, erp: XledgerFake
) -> None:
    org = here.organisation(claims=CLAIMS)
    erp.commit_after(3.3, on=WRITE)
    org.request()
    here.worker()
    assert here.until_right().booked == CLAIMS
    assert erp.calls[WRITE] == 1


@story(hasty=True)
def test_rows_that_move_from_the_queue_to_the_ledger_during_a_look_up_are_seen(
    here: Installation, erp: XledgerFake
) -> None:
    org = here.organisation(claims=CLAIMS)
    erp.import_delay = None
    erp.commit_then_hang(on=WRITE)
    erp.import_between_reads(on="glImportItems")
    org.request()
    here.worker()
    assert here.until_right().booked == CLAIMS
    assert erp.calls[WRITE] == 1


@story(hasty=True)
def test_a_voucher_that_an_accountant_deleted_is_never_sent_again_on_a_guess(
    here: Installation, erp: XledgerFake
) -> None:
    org = here.organisation()
    erp.import_delay = None
    claim = org.claim("C-1")
    org.claim("C-2")
    org.request()
    here.worker()
    org.until_state("accepted", 2)
    reference = org.database.value("select reference from bilag.export_items where claim_id = %s", claim)
    erp.accountant.delete_queued(reference)
    erp.run_import()
    until("it is missed", lambda: "vanished" in here.alerts())
    assert (org.states()["C-1"], erp.calls[WRITE]) == ("in_doubt", 1)
    org.database.sql("select bilag.resolve_in_doubt(%s, 'xledger', 'not_booked')", claim)
    until("one last look releases it", lambda: org.states()["C-1"] in ("voided", "pending"))
    erp.import_delay = 0
    org.request()
    assert here.until_right().booked == 2
    assert erp.calls[WRITE] == 2


@story(hasty=True)
def test_two_workers_on_one_integration_never_send_side_by_side(here: Installation, erp: XledgerFake) -> None:
    on_one_integration(here, erp, workers=2)


@story(hasty=True)
def test_four_workers_on_one_integration_never_send_side_by_side(here: Installation, erp: XledgerFake) -> None:
    on_one_integration(here, erp, workers=4)


def on_one_integration(here: Installation, erp: XledgerFake, workers: int) -> None:
    here.small_batches(4)
    org = here.organisation(claims=60)
    erp.latency = 0.05
    for _ in range(workers):
        here.worker()
    org.request()
    assert here.until_right().booked == 60
    assert erp.most_in_flight == 1
    assert erp.calls[WRITE] == 15


@story(hasty=True)
def test_two_workers_on_many_integrations_book_each_claim_once(here: Installation, erp: XledgerFake) -> None:
    on_many_integrations(here, erp, workers=2)


@story(hasty=True)
def test_four_workers_on_many_integrations_book_each_claim_once(here: Installation, erp: XledgerFake) -> None:
    on_many_integrations(here, erp, workers=4)


def on_many_integrations(here: Installation, erp: XledgerFake, workers: int) -> None:
    here.small_batches(4)
    erp.latency = 0.05
    orgs = [here.organisation(f"Lag {n}", claims=12) for n in range(8)]
    for _ in range(workers):
        here.worker()
    for org in orgs:
        org.request()
    assert here.until_right().booked == 96
    assert erp.calls[WRITE] == 24


@story(hasty=True)
def test_a_write_that_began_long_after_its_mark_is_not_thought_absent_too_early(
    here: Installation, erp: XledgerFake
) -> None:
    here.database.sql("update bilag.integration_types set absence_after = '12 s'")
    org = here.organisation(claims=CLAIMS)
    erp.fail_next(429, after=10, on=WRITE)
    erp.commit_after(10, on=WRITE)
    org.request()
    here.worker(BILAG_DELIVERY_SECONDS="60")
    assert here.until_right().booked == CLAIMS
    assert erp.calls[WRITE] == 2
