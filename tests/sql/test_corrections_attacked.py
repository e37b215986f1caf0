"""How a release or a reversal could double or lose a voucher, each tried."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString
from uuid import UUID

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker, report
from tests.sql.refusals import refused
from tests.sql.sessions import Session, two_sessions
from tests.sql.vendor_with_memory import DAY, RELEASE, REVERSE, Vendor, audited, export, reference, shown

RECOVER: LiteralString = "select bilag_internal.recover(bilag_internal.now() - interval '1 hour')"


@pytest.fixture
def vendor(worker: FakeWorker) -> Vendor:
    return Vendor(worker)


@pytest.fixture
def claim(org: Organisation, vendor: Vendor) -> UUID:
    return vendor.book(org)


def named(org: Organisation, revision: int, *, reversal: bool = False) -> str:
    """The reference of a voucher of C-1, in whatever life of this database it is sent."""
    return str(
        org.database.value(
            "select bilag_internal.reference(id, 'C-1', %s, %s) from bilag.integration_config where org_id = %s",
            revision, reversal, org.id,
        )
    )  # fmt: skip


def items(org: Organisation) -> list[tuple[Any, ...]]:
    return org.database.sql(
        "select revision, reverses is not null, state, reason_code from bilag.export_items order by id"
    )


def alerts(org: Organisation) -> list[str]:
    """The open alerts about vouchers."""
    rows = org.database.sql(
        "select kind from bilag.alerts where resolved_at is null and kind <> 'no_worker' order by kind"
    )
    return [kind for (kind,) in rows]


def reversal_is_in_hand(org: Organisation, worker: FakeWorker, claim: UUID) -> Any:
    """A reversal that is marked and in a worker's hands."""
    org.database.sql(REVERSE, claim, DAY)
    (find,) = worker.settle(worker.claim_one())
    (post,) = worker.settle(find, "absent")
    assert (find["kind"], post["kind"]) == ("find", "post")
    return post


def test_an_original_that_turns_out_absent_is_not_reversed(org: Organisation, vendor: Vendor, claim: UUID) -> None:
    vendor.delete(reference(org))
    run = org.database.value(REVERSE, claim, DAY)
    vendor.work()
    assert org.status(run)["status"] == "failed"
    assert items(org) == [(1, False, "exported", "original_absent"), (1, True, "rejected", "original_absent")]
    assert shown(org) == ("booked; its reversal was rejected", "original_absent")
    assert sum(vendor.posts.values()) == 1
    assert alerts(org) == ["run_failed"]
    assert audited(org)[-1] == "claim.reversal_refused"
    org.database.sql(RELEASE, claim)
    vendor.work()
    export(org, vendor)
    assert list(vendor.holds) == [named(org, 2)]


def test_a_reversal_whose_worker_dies_after_its_mark_is_booked_once(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    post = reversal_is_in_hand(org, worker, claim)
    vendor.answer(post, post["items"][0])
    bilag.advance(minutes=2)
    worker.tick()
    assert shown(org) == ("booked; its reversal is under way", "interrupted")
    vendor.work()
    assert shown(org) == ("reversed by voucher 2", None)
    assert vendor.posts[named(org, 1, reversal=True)] == 1


def test_a_reversal_that_never_arrived_is_sent_again_under_the_same_reference(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    worker.settle(reversal_is_in_hand(org, worker, claim), "unknown", release=True)
    bilag.advance(minutes=30)
    vendor.work()
    assert shown(org) == ("reversed by voucher 2", None)
    assert vendor.posts == {named(org, 1): 1, named(org, 1, reversal=True): 1}


def test_a_reversal_that_the_vendor_rejects_leaves_the_voucher_booked_and_may_be_asked_for_again(
    org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    worker.settle(reversal_is_in_hand(org, worker, claim), {"outcome": "rejected", "message": "No such account."})
    assert shown(org) == ("booked; its reversal was rejected", "refused_by_vendor")
    run = org.database.value(REVERSE, claim, DAY)
    vendor.work()
    assert org.status(run)["status"] == "succeeded"
    assert vendor.posts[named(org, 1, reversal=True)] == 1


def test_a_reversal_run_that_failed_is_retried_as_a_reversal_and_takes_no_claims(
    org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    worker.settle(reversal_is_in_hand(org, worker, claim), "rejected")
    org.claim("C-2")
    failed = org.database.value("select id from bilag.export_runs where trigger = 'reversal'")
    again = org.database.value("select bilag.retry_export(%s)", failed)
    vendor.work()
    status = org.status(again)
    assert (status["trigger"], status["claims"]["total"]) == ("reversal", 1)
    assert org.states()["C-1"] == "exported"
    assert "C-2" not in org.states()


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_reversal_that_is_cancelled_before_it_is_sent_sends_nothing(
    org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID, steps: int
) -> None:
    run = org.database.value(REVERSE, claim, DAY)
    for outcome in ("exported", "absent")[:steps]:
        worker.settle(worker.claim_one(), outcome, release=True)
    org.database.sql("select bilag.cancel_export(%s)", run)
    vendor.work()
    assert sum(vendor.posts.values()) == 1
    assert org.status(run)["status"] == "cancelled"
    assert shown(org)[0] == "booked"
    org.database.sql(REVERSE, claim, DAY)
    vendor.work()
    assert shown(org)[0].startswith("reversed by voucher")
    assert vendor.posts[named(org, 1, reversal=True)] == 1


def test_a_reversal_outlasts_hours_in_which_nothing_can_be_looked_up(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    run = org.database.value(REVERSE, claim, DAY)
    for _ in range(12):
        for job in worker.claim():
            worker.settle(job, "unknown", release=True)
        bilag.advance(hours=1)
        worker.tick()
    assert org.status(run)["status"] == "waiting"
    bilag.advance(days=1)
    (find,) = worker.settle(worker.claim_one())
    worker.settle(find, "unknown", release=True)
    bilag.advance(hours=2)
    worker.tick()
    vendor.work()
    assert org.status(run)["status"] == "succeeded"
    assert vendor.posts[named(org, 1, reversal=True)] == 1


def test_a_database_restored_to_before_the_release_finds_what_it_exported_again_since(
    org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    first = reference(org)
    vendor.holds[named(org, 2)] = vendor.holds.pop(first)
    org.database.sql(RELEASE, claim)
    vendor.work()
    export(org, vendor)
    assert shown(org) == ("booked", None)
    assert reference(org) == named(org, 2)
    assert sum(vendor.posts.values()) == 1, "it was not sent a second time"


def test_a_database_restored_to_before_a_reversal_finds_the_mirror(
    org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    vendor.holds[named(org, 1, reversal=True)] = {"lines": []}
    org.database.sql(REVERSE, claim, DAY)
    vendor.work()
    assert shown(org)[0] == "reversed by voucher 2"
    assert sum(vendor.posts.values()) == 1, "the mirror was not sent a second time"


def test_a_reversal_that_is_pending_when_the_database_is_restored_is_looked_up_again(
    org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    org.database.sql(REVERSE, claim, DAY)
    (find,) = worker.settle(worker.claim_one())
    worker.settle(find, "absent", release=True)
    vendor.holds[named(org, 1, reversal=True)] = {"lines": []}
    org.database.sql(RECOVER)
    vendor.work()
    assert shown(org)[0] == "reversed by voucher 2"
    assert sum(vendor.posts.values()) == 1


def test_a_restore_does_not_let_a_reversal_pass_by_the_look_at_its_original(
    bilag: Bilag, org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    vendor.delete(reference(org))
    org.database.sql(REVERSE, claim, DAY)
    org.database.sql(RECOVER)
    for _ in range(4):
        vendor.work()
        bilag.advance(hours=1)
    assert sum(vendor.posts.values()) == 1
    assert items(org)[1] == (1, True, "rejected", "original_absent")


def test_a_re_export_after_a_restore_waits_until_nothing_can_be_on_its_way(
    bilag: Bilag, org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    vendor.delete(reference(org))
    org.database.sql(RECOVER)
    org.database.sql(RELEASE, claim)
    vendor.work()
    export(org, vendor)
    assert org.states() == {"C-1": "in_doubt"}, "absence_after has not passed since the restore"
    bilag.advance(minutes=5)
    vendor.work()
    assert list(vendor.holds) == [named(org, 2)]


@pytest.mark.parametrize("taken", [False, True])
def test_a_late_look_that_saw_it_takes_the_release_back_while_nothing_was_sent(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID, taken: bool
) -> None:
    org.database.sql(RELEASE, claim)
    slow = worker.claim_one()
    bilag.advance(minutes=2)
    worker.tick()
    worker.settle(worker.claim_one(), "absent")
    if taken:
        org.request()
        worker.settle(worker.claim_one(), "unknown", release=True)
    worker.tell(report(slow))
    assert shown(org) == ("booked", "released_by_mistake")
    assert alerts(org) == ["released_still_there"]
    bilag.advance(hours=1)
    export(org, vendor)
    assert sum(vendor.posts.values()) == 1


def test_a_late_look_that_saw_what_was_exported_again_meanwhile_raises_an_alarm(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    org.database.sql(RELEASE, claim)
    slow = worker.claim_one()
    bilag.advance(minutes=2)
    worker.tick()
    worker.settle(worker.claim_one(), "absent")
    export(org, vendor)
    worker.tell(report(slow))
    assert alerts(org) == ["released_still_there"]
    assert items(org) == [(1, False, "voided", "released_for_reexport"), (2, False, "exported", None)]


def test_a_late_answer_of_a_reconciliation_is_no_evidence_against_a_release(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    org.database.sql("select bilag.request_reconciliation(%s, 'xledger', '2026-03-01', '2026-03-31')", org.id)
    slow = worker.claim_one()
    assert slow["kind"] == "reconcile"
    bilag.advance(minutes=2)
    worker.tick()
    vendor.delete(reference(org))
    org.database.sql(RELEASE, claim)
    vendor.work()
    worker.tell(report(slow))
    assert alerts(org) == []
    assert items(org) == [(1, False, "voided", "released_for_reexport")]


def test_what_only_a_person_called_booked_is_released_when_nothing_can_be_on_its_way_any_more(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor
) -> None:
    org.database.sql("update bilag.integration_types set absence_after = '10 min'")
    claim = org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "unknown")
    org.database.sql("select bilag.resolve_in_doubt(%s, 'xledger', 'booked', 'GL-1')", claim)
    org.database.sql(RELEASE, claim)
    vendor.work()
    assert org.states() == {"C-1": "exported"}, "the write may still arrive"
    bilag.advance(minutes=11)
    vendor.work()
    assert org.states() == {"C-1": "voided"}


def test_a_reversed_copy_is_not_taken_again_by_itself(bilag: Bilag, org: Organisation, vendor: Vendor) -> None:
    bilag.type("copy")
    org.integration("copy", books=False)
    org.map("Taxi", "1", kind="copy")
    claim = org.claim("C-1")
    for _ in range(2):
        org.request(kind="copy")
        vendor.work()
        if len(vendor.posts) == 1:
            org.database.sql("select bilag.reverse_export(%s, 'copy', %s, 'wrong')", claim, DAY)
            vendor.work()
    assert len(vendor.posts) == 2
    export(org, vendor)
    assert len(vendor.posts) == 3, "that the copy was reversed is nothing to the integration that books"


def test_a_late_word_about_what_was_reversed_and_released_is_no_news(
    org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    org.database.sql(REVERSE, claim, DAY)
    look = worker.claim_one()
    (find,) = worker.settle(look)
    (post,) = worker.settle(find, "absent")
    worker.settle(post)
    org.database.sql(RELEASE, claim)
    worker.tell(report(look))
    assert alerts(org) == []
    assert items(org)[0][2] == "voided"


def test_a_late_success_of_the_first_reversal_does_not_let_the_second_be_sent(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    post = reversal_is_in_hand(org, worker, claim)
    org.database.sql("select bilag.cancel_export(%s)", post["runId"])
    bilag.advance(minutes=2)
    worker.tick()
    worker.settle(worker.claim_one(), "absent")
    bilag.advance(minutes=2)
    worker.settle(worker.claim_one(), "absent")
    assert items(org)[1][2:] == ("voided", "reversal_not_sent")
    org.database.sql(REVERSE, claim, DAY)
    worker.settle(worker.claim_one(), release=True)
    vendor.answer(post, post["items"][0])
    worker.tell(report(post))
    vendor.work()
    assert vendor.posts[named(org, 1, reversal=True)] == 1
    assert shown(org)[0] == "reversed by voucher 2"


def test_no_two_vouchers_of_a_claim_ever_have_one_reference(org: Organisation, vendor: Vendor, claim: UUID) -> None:
    for _ in range(2):
        vendor.delete(reference(org))
        org.database.sql(RELEASE, claim)
        vendor.work()
        export(org, vendor)
        org.database.sql(REVERSE, claim, DAY)
        vendor.work()
        org.database.sql(RELEASE, claim)
        org.database.sql("select bilag.mark_booked(%s, 'xledger', '1', 'by hand')", claim)
        org.database.sql(RELEASE, claim)
        export(org, vendor)
    assert set(vendor.posts.values()) == {1}
    doubled: LiteralString = "select reference from bilag.export_items group by reference having count(*) > 1"
    assert org.database.sql(doubled) == []


def test_a_claim_exported_again_after_its_period_closed_moves_to_the_first_open_day(
    org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    vendor.delete(reference(org))
    org.database.sql(RELEASE, claim)
    vendor.work()
    org.database.sql("update bilag.integration_config set books_closed_until = '2026-03-31'")
    export(org, vendor)
    assert vendor.holds[named(org, 2)]["postingDate"] == "2026-04-01"
    org.database.sql(REVERSE, claim, "2026-04-01")
    vendor.work()
    assert vendor.holds[named(org, 2, reversal=True)]["postingDate"] == "2026-04-01"


def test_the_ledger_is_not_changed_under_a_correction_nor_one_made_in_another_ledger(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    move: LiteralString = 'update bilag.integration_config set settings = settings || \'{"owner_code": "9"}\''
    org.database.sql(REVERSE, claim, DAY)
    with refused("KB004", "still under way"):
        org.database.sql(move)
    (find,) = worker.settle(worker.claim_one())
    worker.settle(find, "absent", release=True)
    with refused("KB004", "still under way"):
        org.database.sql(move)
    org.database.sql("select bilag.cancel_export(id) from bilag.export_runs where trigger = 'reversal'")
    org.database.sql(move)
    for verb, more in ((RELEASE, ()), (REVERSE, (DAY,))):
        with refused("KB004", "another ledger"):
            org.database.sql(verb, claim, *more)


@pytest.fixture
def persons(org: Organisation) -> Iterator[tuple[Session, Session]]:
    with two_sessions(org.database) as both:
        yield both


@pytest.mark.parametrize("gone", [True, False])
@pytest.mark.parametrize(("first", "second"), [("release", "reverse"), ("reverse", "release"), ("reverse", "reverse"),
                                               ("release", "release")])  # fmt: skip
def test_two_persons_at_once_are_one_after_the_other(
    org: Organisation,
    vendor: Vendor,
    claim: UUID,
    persons: tuple[Session, Session],
    first: str,
    second: str,
    gone: bool,
) -> None:
    verbs: dict[str, tuple[LiteralString, tuple[Any, ...]]] = {
        "release": (RELEASE, (claim,)),
        "reverse": (REVERSE, (claim, DAY)),
    }
    if gone:
        vendor.delete(reference(org))
    one, two = persons
    query, more = verbs[first]
    one.run(query, *more)
    query, more = verbs[second]
    waiting = two.start(query, *more)
    assert two.is_blocked(waiting)
    one.commit()
    if first != second:
        with refused("KB004"):
            waiting.result(timeout=20)
    else:
        waiting.result(timeout=20)
        two.commit()
    vendor.work()
    export(org, vendor)
    expected = {("release", True): [named(org, 2)], ("release", False): [named(org, 1)], ("reverse", True): []}
    mirrored = [named(org, 1), named(org, 1, reversal=True)]
    assert list(vendor.holds) == expected.get((first, gone), mirrored)
    assert set(vendor.posts.values()) == {1}


def test_a_person_who_knows_of_the_reversal_settles_it_while_another_asks_for_it(
    org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID, persons: tuple[Session, Session]
) -> None:
    worker.settle(reversal_is_in_hand(org, worker, claim), "unknown", release=True)
    one, two = persons
    one.run("select bilag.resolve_in_doubt(%s, 'xledger', 'booked', 'GL-2')", claim)
    waiting = two.start(REVERSE, claim, DAY)
    assert two.is_blocked(waiting)
    one.commit()
    with refused("KB004", "is reversed already"):
        waiting.result(timeout=20)
    vendor.work()
    assert shown(org)[0] == "reversed by voucher 2"
    assert vendor.posts[named(org, 1, reversal=True)] == 0
