"""Which absence is evidence: of a look handed out late enough, told by who holds the lane, with the same credential."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker, Job


def doubtful(bilag: Bilag, org: Organisation, worker: FakeWorker, **wait: float) -> Job:
    """C-1 was sent and not answered; a look is handed out after the wait."""
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "unknown")
    bilag.advance(**(wait or {"seconds": 5}))
    job = worker.claim_one()
    assert job["kind"] == "find"
    return job


def item(org: Organisation) -> tuple[Any, ...]:
    ((state, reason),) = org.database.sql("select state, reason_code from bilag.export_items")
    return state, reason


def test_a_look_that_was_handed_out_too_early_proves_nothing_however_late_it_is_reported(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    look = doubtful(bilag, org, worker)
    bilag.advance(seconds=58)
    worker.beat(look["token"])
    bilag.advance(seconds=30)
    worker.settle(look, "absent", release=True)
    assert item(org)[0] == "in_doubt"


def test_the_time_counts_from_the_report_that_did_not_know_and_not_from_the_mark(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    job = worker.claim_one()
    bilag.advance(seconds=50)  # a write may begin at any moment of its delivery
    worker.settle(job, "unknown")
    bilag.advance(seconds=59)
    worker.settle(worker.claim_one(), "absent", release=True)
    assert item(org)[0] == "in_doubt"
    bilag.advance(seconds=30)
    worker.settle(worker.claim_one(), "absent", release=True)
    assert item(org)[0] == "pending"


def test_after_a_rescue_the_time_counts_from_the_rescue(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    worker.claim()
    bilag.advance(seconds=61)
    look = worker.claim_one()
    worker.settle(look, "absent", release=True)
    assert item(org)[0] == "in_doubt", "the dead worker's request may still be on its way"
    bilag.advance(seconds=60)
    worker.settle(worker.claim_one(), "absent", release=True)
    assert item(org)[0] == "pending"


def test_a_look_of_a_lost_lease_counts_only_if_it_found_something(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    look = doubtful(bilag, org, worker, minutes=2)
    bilag.advance(seconds=61)
    other = bilag.worker().claim_one()
    worker.settle(look, "absent")
    assert item(org)[0] == "in_doubt"
    assert other["kind"] == "find"
    worker.settle(look, "exported")
    assert item(org)[0] == "exported"


def test_absence_under_another_credential_proves_nothing_for_it_may_open_another_ledger(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    look = doubtful(bilag, org, worker)
    worker.settle(look, "unknown", release=True)
    org.database.sql("select bilag.set_integration_credential(%s, 'xledger', 'new')", org.id)
    bilag.advance(hours=1)
    worker.settle(worker.claim_one(), "absent")
    assert item(org) == ("in_doubt", "credential_changed")
    bilag.advance(days=1)
    worker.settle(worker.claim_one(), "exported")
    assert item(org)[0] == "exported", "finding it proves it all the same"


def test_a_persons_word_and_a_last_look_settle_it_under_another_credential(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    look = doubtful(bilag, org, worker)
    worker.settle(look, "unknown", release=True)
    org.database.sql("select bilag.set_integration_credential(%s, 'xledger', 'new')", org.id)
    bilag.advance(hours=1)
    worker.settle(worker.claim_one(), "absent")
    org.database.sql("select bilag.resolve_in_doubt(id, 'xledger', 'not_booked') from bilag.expense_claims")
    worker.settle(worker.claim_one(), "absent")
    assert item(org) == ("voided", "not_booked")


def test_an_answered_write_needs_no_waiting(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "accepted")
    bilag.advance(seconds=2)
    worker.settle(worker.claim_one(), {"outcome": "import_error", "message": "Konto sperret"})
    bilag.advance(seconds=30)
    worker.settle(worker.claim_one(), "absent")
    assert item(org) == ("rejected", "import_error")


def test_what_vanished_is_not_sent_again_whatever_else_a_look_meets_meanwhile(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "accepted")
    for outcome in ("absent", {"outcome": "unknown", "reasonCode": "rate_limited"}, "absent", "absent"):
        bilag.advance(days=1)
        worker.settle(worker.claim_one(), outcome, release=True)
    assert item(org) == ("in_doubt", "vanished")


def test_the_vendors_words_outlive_looks_that_say_nothing(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), {"outcome": "import_error", "message": "Konto sperret"})
    bilag.advance(minutes=1)
    worker.settle(worker.claim_one(), "unknown")
    assert "Konto sperret" in org.database.value("select message from bilag.export_items")
    assert "{" not in org.database.value("select message from bilag.open_alerts")


def test_a_look_that_learned_nothing_is_repeated_soon_and_one_that_found_nothing_when_that_proves_something(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    bilag.database.sql("update bilag.integration_types set absence_after = '20 minutes'")
    look = doubtful(bilag, org, worker)
    worker.settle(look, "unknown", release=True)
    wait = "select next_look_at - bilag_internal.now() from bilag.export_items"
    assert org.database.value(wait) == timedelta(seconds=20)
    bilag.advance(seconds=20)
    worker.settle(worker.claim_one(), "absent", release=True)
    assert org.database.value(wait) == timedelta(minutes=20) - timedelta(seconds=25)
