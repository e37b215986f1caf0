"""What a look-up settles: whole, absent, unknown, gone; and when absence may be believed."""

from __future__ import annotations

from datetime import timedelta
from typing import LiteralString

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker, Job, failed


def doubtful(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    """C-1 was sent, and it is not known whether it arrived; its first look is due."""
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "unknown")
    bilag.advance(seconds=5)


def accepted(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "accepted")
    bilag.advance(seconds=2)


def look(worker: FakeWorker, kind: str) -> Job:
    job = worker.claim_one()
    assert job["kind"] == kind
    return job


def kinds(org: Organisation) -> list[str]:
    return [kind for (kind,) in org.database.sql("select kind from bilag.open_alerts order by 1")]


def test_whole_is_exported(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    doubtful(bilag, org, worker)
    worker.settle(look(worker, "find"), "exported")
    assert org.states() == {"C-1": "exported"}
    assert org.database.value("select count(*) from bilag.export_lines") == 2


def test_on_its_way_is_accepted(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    doubtful(bilag, org, worker)
    worker.settle(look(worker, "find"), "accepted")
    assert org.states() == {"C-1": "accepted"}


def test_partial_or_unknown_stays_in_doubt_is_never_sent_on_a_guess_and_is_asked_ever_more_rarely(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    doubtful(bilag, org, worker)
    waits = []
    for _ in range(8):
        assert worker.settle(look(worker, "find"), "unknown") == []
        waits.append(org.database.value("select next_look_at - bilag_internal.now() from bilag.export_items"))
        assert org.states() == {"C-1": "in_doubt"}
        bilag.advance(days=1)
    assert waits == sorted(waits)
    assert (waits[0] <= timedelta(minutes=1), waits[-1]) == (True, timedelta(days=1))
    assert kinds(org) == ["in_doubt"]


def test_absent_too_early_proves_nothing(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    doubtful(bilag, org, worker)
    worker.settle(look(worker, "find"), "absent")
    assert org.states() == {"C-1": "in_doubt"}
    assert worker.claim() == [], "asked again when the answer will mean something"
    bilag.advance(seconds=54)
    assert worker.claim() == []
    bilag.advance(seconds=1)
    (job,) = worker.settle(look(worker, "find"), "absent")
    assert (job["kind"], job["items"][0]["attempt"]) == ("post", 2)


def test_a_look_that_found_nothing_is_no_answer_to_the_write(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    doubtful(bilag, org, worker)
    worker.settle(look(worker, "find"), "absent")
    org.database.sql("select bilag.resolve_in_doubt(id, 'xledger', 'not_booked') from bilag.expense_claims")
    worker.settle(look(worker, "find"), "absent")
    assert org.states() == {"C-1": "in_doubt"}


def test_a_system_that_cannot_prove_absence_never_gets_the_voucher_again(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    bilag.database.sql("update bilag.integration_types set absence_after = null")
    doubtful(bilag, org, worker)
    for _ in range(5):
        worker.settle(look(worker, "find"), "absent", release=True)
        assert org.states() == {"C-1": "in_doubt"}
        bilag.advance(days=2)


def test_a_system_that_proves_absence_at_once_gets_it_again_at_once(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    bilag.database.sql("update bilag.integration_types set absence_after = '0'")
    doubtful(bilag, org, worker)
    (job,) = worker.settle(look(worker, "find"), "absent")
    assert job["kind"] == "post"


def test_absent_after_the_run_ended_releases_the_claim_for_the_next(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    doubtful(bilag, org, worker)
    org.database.sql("select bilag.cancel_export(id) from bilag.export_runs")
    bilag.advance(minutes=2)
    worker.settle(look(worker, "find"), "absent")
    assert org.states() == {"C-1": "voided"}
    assert org.preview()["wouldBook"] == 1


@pytest.mark.parametrize(
    ("outcome", "state"), [("exported", "exported"), ("unknown", "accepted"), ("accepted", "accepted")]
)
def test_what_was_accepted_is_asked_until_seen(
    bilag: Bilag, org: Organisation, worker: FakeWorker, outcome: str, state: str
) -> None:
    accepted(bilag, org, worker)
    worker.settle(look(worker, "confirm"), outcome)
    assert org.states() == {"C-1": state}
    assert kinds(org) == []


def test_an_accepted_voucher_that_vanished_is_in_doubt_and_a_person_is_called(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    accepted(bilag, org, worker)
    worker.settle(look(worker, "confirm"), "absent")
    assert org.database.sql("select state, reason_code from bilag.export_items") == [("in_doubt", "vanished")]
    assert kinds(org) == ["vanished"]
    bilag.advance(hours=1)
    worker.settle(look(worker, "find"), "absent")
    assert org.database.sql("select state, reason_code from bilag.export_items") == [("in_doubt", "vanished")]


def test_an_import_error_holds_the_claim_until_the_systems_copy_is_gone(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    accepted(bilag, org, worker)
    worker.settle(look(worker, "confirm"), {"outcome": "import_error", "message": "Konto sperret"})
    assert org.states() == {"C-1": "accepted"}
    bilag.advance(minutes=1)
    worker.settle(look(worker, "confirm"), "unknown")
    assert org.states() == {"C-1": "accepted"}
    bilag.advance(minutes=1)
    worker.settle(look(worker, "confirm"), "absent")
    facts = org.database.sql("select state, holds, reason_code from bilag.export_items")
    assert facts == [("rejected", False, "import_error")]


def test_a_look_never_says_rejected_refused_or_unsent(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    doubtful(bilag, org, worker)
    for outcome in ("rejected", "refused", "unsent"):
        worker.settle(look(worker, "find"), outcome)
        assert org.states() == {"C-1": "in_doubt"}, outcome
        bilag.advance(days=1)


def test_doubtful_vouchers_are_looked_at_before_anything_is_sent(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.approve(300)
    org.request()
    worker.settle(worker.claim_one(), "unknown", release=True)
    bilag.advance(seconds=5)
    (following,) = worker.settle(look(worker, "find"), "exported")
    assert (following["kind"], len(following["items"])) == ("post", 50)


def test_more_doubtful_vouchers_than_fit_are_looked_at_batch_by_batch(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.approve(600)
    org.request()
    worker.work(lambda _job, _item: "unknown")
    bilag.advance(seconds=5)
    looked = [len(job["items"]) for job in worker.work()]
    assert looked == [250, 250, 100]
    assert set(org.states().values()) == {"exported"}


def test_a_wait_that_the_server_asks_of_a_look_is_kept(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    doubtful(bilag, org, worker)
    worker.settle(look(worker, "find"), "unknown", failure=failed("transient", "rate_limited", 3600))
    bilag.advance(minutes=59)
    assert worker.claim() == []
    bilag.advance(minutes=1)
    look(worker, "find")


def test_looks_begin_within_seconds_and_become_rare(catalogue: Database) -> None:
    for state, longest in (("accepted", timedelta(hours=6)), ("in_doubt", timedelta(days=1))):
        waits = [catalogue.value("select bilag_internal.look_wait(%s, %s)", state, looks) for looks in range(20)]
        assert waits == sorted(waits), state
        assert waits[0] <= timedelta(seconds=5), state
        assert waits[-1] == longest, state


@pytest.mark.parametrize("known_by", ["look", "person"])
def test_an_accepted_voucher_that_was_changed_there_is_told_of_until_somebody_knows(
    bilag: Bilag, org: Organisation, worker: FakeWorker, known_by: str
) -> None:
    """An accountant has split a line before posting: no look will ever see it as it was sent."""
    accepted(bilag, org, worker)
    for nth in range(4):
        assert kinds(org) == [], f"after {nth} looks it may be halfway through its posting"
        worker.settle(look(worker, "confirm"), {"outcome": "unknown", "message": "It was changed."}, release=True)
        bilag.advance(hours=1)
    assert kinds(org) == ["in_doubt"]
    reason: LiteralString = "select state, reason_code, message from bilag.export_items"
    assert org.database.sql(reason) == [("accepted", "accepted_unclear", "It was changed.")]
    if known_by == "look":
        worker.settle(look(worker, "confirm"))
    else:
        claim = org.database.value("select claim_id from bilag.export_items")
        org.database.sql("select bilag.resolve_in_doubt(%s, 'xledger', 'booked', 'GL-7')", claim)
    assert org.database.sql(reason) == [("exported", None, None)]
    assert kinds(org) == []


def test_looks_that_cannot_be_made_say_nothing_of_an_accepted_voucher(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    accepted(bilag, org, worker)
    for _ in range(4):
        worker.settle(look(worker, "confirm"), "unknown", release=True)
        bilag.advance(hours=1)
    assert org.database.sql("select state, reason_code from bilag.export_items") == [("accepted", None)]
    assert kinds(org) == []
