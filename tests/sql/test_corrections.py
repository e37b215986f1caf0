"""Who may correct what was booked, and when nothing can be corrected."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker
from tests.sql.file_worker import FileWorker, file_of, rows
from tests.sql.refusals import refused
from tests.sql.vendor_with_memory import DAY, RELEASE, REVERSE, Vendor


@pytest.fixture
def vendor(worker: FakeWorker) -> Vendor:
    return Vendor(worker)


@pytest.fixture
def claim(org: Organisation, vendor: Vendor) -> UUID:
    return vendor.book(org)


@pytest.mark.parametrize(("outcome", "sentence"), [
    ("unknown", "is in doubt"), ("accepted", "accepted and not yet seen"), ("rejected", "is not booked by xledger"),
])  # fmt: skip
def test_what_is_not_surely_booked_is_neither_released_nor_reversed(
    org: Organisation, worker: FakeWorker, outcome: str, sentence: str
) -> None:
    claim = org.claim("C-1")
    for verb, more in ((RELEASE, ()), (REVERSE, (DAY,))):
        with refused("KB004", "is not booked by xledger"):
            org.database.sql(verb, claim, *more)
    org.request()
    job = worker.claim_one()
    with refused("KB004", "is being exported"):
        org.database.sql(REVERSE, claim, DAY)
    worker.settle(job, outcome, release=True)
    for verb, more in ((RELEASE, ()), (REVERSE, (DAY,))):
        with refused("KB004", sentence):
            org.database.sql(verb, claim, *more)


def test_only_finance_of_the_organisation_corrects(bilag: Bilag, org: Organisation, claim: UUID) -> None:
    stranger = bilag.organisation("Andre").member()
    for person, code in ((stranger, "KB002"), (org.member("member"), "KB003")):
        for verb, more in ((RELEASE, ()), (REVERSE, (DAY,))):
            with org.database.as_user(person) as connection, refused(code):
                connection.execute(verb, [claim, *more])
    with org.database.as_user(org.member()) as connection:
        connection.execute(REVERSE, [claim, DAY])


def test_a_paused_integration_takes_the_request_and_waits(org: Organisation, vendor: Vendor, claim: UUID) -> None:
    org.database.sql("select bilag.pause_integration(%s, 'xledger', 'holiday')", org.id)
    run = org.database.value(REVERSE, claim, DAY)
    assert vendor.work() == []
    assert org.status(run)["waitingFor"]["reasonCode"] == "paused_by_person"
    org.database.sql("select bilag.resume_integration(%s, 'xledger')", org.id)
    vendor.work()
    assert org.status(run)["status"] == "succeeded"


def test_a_disabled_integration_corrects_nothing(org: Organisation, claim: UUID) -> None:
    org.database.sql("update bilag.integration_config set enabled = false")
    with refused("KB004", "is disabled"):
        org.database.sql(REVERSE, claim, DAY)
    with refused("KB004", "is disabled"):
        org.database.sql(RELEASE, claim)


def test_a_file_is_not_asked_and_a_reversal_gets_a_file_of_its_own(club: Organisation, files: FileWorker) -> None:
    claim = club.claim("C-1")
    first = club.request(kind="file")
    files.export()
    run = club.database.value("select bilag.reverse_export(%s, 'file', %s, 'wrong')", claim, DAY)
    files.export()
    assert club.status(run)["status"] == "succeeded"
    booked, mirror = amounts(club, first), amounts(club, run)
    assert [-amount for amount in booked] == mirror
    club.database.sql("select bilag.release_for_reexport(%s, 'file', 'not imported')", claim)
    again = club.request(kind="file")
    files.export()
    assert amounts(club, again) == booked


def amounts(club: Organisation, run: UUID) -> list[Decimal]:
    return [Decimal(row["amount"]) for row in rows(file_of(club, run))]
