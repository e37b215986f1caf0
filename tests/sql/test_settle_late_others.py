"""A late word about a claim that has other vouchers since: of a later run, of another integration, its mirror."""

from __future__ import annotations

from typing import Any, LiteralString
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker, Job, report
from tests.sql.sessions import two_sessions
from tests.sql.vendor_with_memory import DAY, REVERSE

CLAIM: LiteralString = "select bilag_internal.claim_exports(%s, 1, 60, 150)"


def released(bilag: Bilag, org: Organisation, worker: FakeWorker, kind: str = "xledger") -> Job:
    """C-1 was sent by a worker that lost its lease; its run was cancelled, and the vendor did not have it then."""
    org.request(kind=kind)
    job = worker.claim_one()
    bilag.advance(seconds=61)
    worker.tick()
    bilag.database.sql("select bilag.cancel_export(id) from bilag.export_runs where integration_type = %s", kind)
    bilag.advance(seconds=61)
    worker.settle(worker.claim_one(), "absent")
    assert org.states(kind) == {"C-1": "voided"}
    return job


def second_integration(bilag: Bilag, org: Organisation, **columns: Any) -> None:
    bilag.type("other")
    org.integration("other", **columns)
    org.map("Taxi", "6000", kind="other")


def waiting(org: Organisation, worker: FakeWorker, kind: str) -> None:
    """C-1 was taken by a run of the integration and is not sent yet."""
    org.request(kind=kind)
    worker.settle(worker.claim_one(), "unsent", release=True)
    assert org.states(kind) == {"C-1": "pending"}


def vouchers(org: Organisation) -> list[tuple[Any, ...]]:
    return org.database.sql("select integration_type, state, holds from bilag.export_items order by id")


def doubled(org: Organisation) -> bool:
    return bool(org.database.value("select count(*) from bilag.open_alerts where kind = 'doubled'"))


@pytest.fixture
def claim(org: Organisation) -> UUID:
    return org.claim("C-1")


@pytest.mark.usefixtures("claim")
def test_what_a_later_run_could_not_book_does_not_hide_that_it_is_booked(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    job = released(bilag, org, worker)
    org.request()
    worker.settle(worker.claim_one(), "rejected")
    worker.settle(job, "exported")
    assert vouchers(org) == [("xledger", "exported", True), ("xledger", "rejected", False)]
    assert not doubled(org)
    org.map("Taxi", "7999", valid_from="2026-01-01")
    assert org.preview()["wouldBook"] == 0


@pytest.mark.usefixtures("claim")
def test_what_a_later_run_has_sent_and_does_not_know_of_stays_in_doubt_and_is_told(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    job = released(bilag, org, worker)
    org.request()
    worker.settle(worker.claim_one(), "unknown")
    worker.settle(job, "exported")
    assert vouchers(org) == [("xledger", "voided", False), ("xledger", "in_doubt", True)]
    assert doubled(org)


def test_a_mirror_that_is_on_its_way_is_none_of_it_and_goes_on(
    bilag: Bilag, org: Organisation, worker: FakeWorker, claim: UUID
) -> None:
    job = released(bilag, org, worker)
    org.request()
    worker.settle(worker.claim_one(), "exported")
    bilag.database.sql(REVERSE, claim, DAY)
    worker.settle(job, "exported")
    assert vouchers(org) == [("xledger", "voided", False), ("xledger", "exported", True), ("xledger", "pending", True)]
    assert doubled(org)


@pytest.mark.usefixtures("claim")
def test_a_copy_goes_on_whatever_is_said_of_what_it_copies(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    second_integration(bilag, org, books=False)
    job = released(bilag, org, worker)
    waiting(org, worker, "other")
    worker.settle(job, "exported")
    assert vouchers(org) == [("xledger", "exported", True), ("other", "pending", True)]
    assert not doubled(org)


@pytest.mark.usefixtures("claim")
def test_what_is_said_of_a_copy_keeps_nothing_from_being_booked(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    second_integration(bilag, org, books=False)
    job = released(bilag, org, worker, "other")
    waiting(org, worker, "xledger")
    worker.settle(job, "exported")
    assert vouchers(org) == [("other", "exported", True), ("xledger", "pending", True)]
    assert not doubled(org)


@pytest.mark.usefixtures("claim")
def test_another_booking_integration_does_not_send_what_is_booked_after_all(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    second_integration(bilag, org)
    job = released(bilag, org, worker)
    waiting(org, worker, "other")
    worker.settle(job, "exported")
    assert vouchers(org) == [("xledger", "exported", True), ("other", "voided", False)]
    assert not doubled(org)


@pytest.mark.usefixtures("claim")
def test_what_another_booking_integration_looks_for_before_it_sends_stays_in_doubt_and_is_told_as_doubled(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    second_integration(bilag, org)
    job = released(bilag, org, worker)
    bilag.database.sql("select bilag_internal.recover(bilag_internal.now())")
    org.request(kind="other")
    worker.settle(worker.claim_one(), "unknown")
    assert org.states("other") == {"C-1": "in_doubt"}
    worker.settle(job, "exported")
    assert vouchers(org) == [("xledger", "voided", False), ("other", "in_doubt", True)]
    assert doubled(org)


@pytest.mark.usefixtures("claim")
def test_what_another_booking_integration_is_about_to_send_is_not_taken_from_it(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    """The mark is on its way when the late word comes: it is waited for, and the claim is booked twice, and told."""
    second_integration(bilag, org)
    job = released(bilag, org, worker)
    waiting(org, worker, "other")
    with two_sessions(bilag.database) as (marking, late):
        marking.run(CLAIM, worker.id)
        settling = late.start("select bilag_internal.settle_exports(%s, %s)", worker.id, Jsonb([report(job)]))
        assert late.is_blocked(settling)
        marking.commit()
        settling.result(20)
        late.commit()
    assert vouchers(org) == [("xledger", "voided", False), ("other", "sending", True)]
    assert doubled(org)
