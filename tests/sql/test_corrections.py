"""Correcting what is booked: released once it is gone at the vendor, reversed while it is there; never on a guess."""

from __future__ import annotations

from decimal import Decimal
from typing import LiteralString
from uuid import UUID

import pytest

from tests.fix_bilag import Bilag, Line, Organisation
from tests.sql.fake_worker import FakeWorker
from tests.sql.file_worker import FileWorker, file_of, rows
from tests.sql.refusals import refused
from tests.sql.vendor_with_memory import DAY, RELEASE, REVERSE, Vendor, audited, export, reference, shown


@pytest.fixture
def vendor(worker: FakeWorker) -> Vendor:
    return Vendor(worker)


@pytest.fixture
def claim(org: Organisation, vendor: Vendor) -> UUID:
    return vendor.book(org)


def test_a_deleted_voucher_is_released_after_a_look_and_exported_again_under_a_new_reference_and_number(
    org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    first = reference(org)
    vendor.delete(first)
    org.database.sql(RELEASE, claim)
    assert shown(org) == ("booked; its release waits for a look", "release_requested")
    assert [job["kind"] for job in vendor.work()] == ["confirm"]
    assert shown(org) == ("approved, waits for the next export", "released_for_reexport")
    assert audited(org) == ["claim.release_requested", "claim.released"]
    export(org, vendor)
    assert shown(org) == ("booked", None)
    assert reference(org) != first
    assert org.database.sql("select revision, voucher_number, state from bilag.export_items order by id") == [
        (1, 1, "voided"),
        (2, 2, "exported"),
    ]
    assert list(vendor.holds) == [reference(org)]


def test_what_is_still_there_is_never_released(org: Organisation, vendor: Vendor, claim: UUID) -> None:
    org.database.sql(RELEASE, claim)
    vendor.work()
    assert shown(org) == ("booked", "still_there")
    assert audited(org) == ["claim.release_requested", "claim.release_refused"]
    export(org, vendor)
    assert list(vendor.posts.values()) == [1]
    vendor.delete(reference(org))
    org.database.sql(RELEASE, claim)
    vendor.work()
    export(org, vendor)
    assert sorted(vendor.posts.values()) == [1, 1]


def test_a_look_that_cannot_tell_is_made_again_and_releases_nothing(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    vendor.delete(reference(org))
    org.database.sql(RELEASE, claim)
    worker.settle(worker.claim_one(), {"outcome": "unknown", "message": "Half of it is there."})
    assert org.states() == {"C-1": "exported"}
    assert org.database.value("select reason from bilag.claim_exports") == "Half of it is there."
    assert worker.claim() == []
    bilag.advance(minutes=5)
    vendor.work()
    assert org.states() == {"C-1": "voided"}


def test_a_release_whose_claim_somebody_holds_is_made_at_the_next_look(
    bilag: Bilag, org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID
) -> None:
    vendor.delete(reference(org))
    org.database.sql(RELEASE, claim)
    job = worker.claim_one()
    held = org.database.connect(autocommit=False)
    held.execute("select from bilag.expense_claims for update")
    worker.settle(job, "absent")
    assert org.states() == {"C-1": "exported"}
    held.rollback()
    bilag.advance(minutes=5)
    vendor.work()
    assert org.states() == {"C-1": "voided"}


def test_where_nothing_can_be_looked_up_the_persons_word_counts(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    bilag.type("blind", finds=False)
    org.integration("blind", books=False)
    org.map("Taxi", "1", kind="blind")
    claim = org.claim("C-1")
    org.request(kind="blind")
    worker.work()
    org.database.sql("select bilag.release_for_reexport(%s, 'blind', 'gone')", claim)
    org.request(kind="blind")
    assert [job["kind"] for job in worker.work()] == ["post"]
    assert org.database.sql("select revision, state from bilag.export_items order by id") == [
        (1, "voided"),
        (2, "exported"),
    ]
    run = org.database.value("select bilag.reverse_export(%s, 'blind', %s, 'wrong')", claim, DAY)
    assert [job["kind"] for job in worker.work()] == ["post"]
    assert org.status(run)["status"] == "succeeded"


def test_what_was_booked_elsewhere_is_released_on_the_persons_word(org: Organisation, vendor: Vendor) -> None:
    claim = org.claim("C-1")
    org.database.sql("select bilag.mark_booked(%s, 'xledger', '77', 'by hand')", claim)
    with refused("KB004", "booked elsewhere"):
        org.database.sql(REVERSE, claim, DAY)
    org.database.sql(RELEASE, claim)
    export(org, vendor)
    assert shown(org) == ("booked", None)


def test_a_reversal_books_the_mirror_once_and_the_claim_is_not_exported_again(
    org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    run = org.database.value(REVERSE, claim, DAY)
    assert shown(org) == ("booked; its reversal is under way", "reversal_requested")
    assert org.status(run)["waitingFor"]["reasonCode"] == "verifying_original"
    assert [job["kind"] for job in vendor.work()] == ["confirm", "find", "post"]
    status = org.status(run)
    assert (status["status"], status["trigger"], status["claims"]["exported"]) == ("succeeded", "reversal", 1)
    assert shown(org) == ("reversed by voucher 2", None)
    assert vendor.sums() == {"7140": Decimal(0), "2910": Decimal(0)}
    export(org, vendor)
    assert sorted(vendor.posts.values()) == [1, 1]
    story = "\n".join(line for (line,) in org.database.sql("select bilag.explain_claim(%s, 'C-1')", org.id))
    assert "as voucher 2 to reverse voucher 1" in story
    assert "claim.reversal_requested" in story


def test_the_report_says_what_reverses_what(org: Organisation, vendor: Vendor, claim: UUID) -> None:
    first = org.database.value("select id from bilag.export_runs")
    run = org.database.value(REVERSE, claim, "2026-03-05")
    vendor.work()
    report: LiteralString = "select distinct state from bilag.export_report(%s)"
    assert org.database.value(report, first) == "reversed by voucher 2 on 2026-03-05"
    assert org.database.value(report, run) == "reverses voucher 1"
    lines = org.database.sql("select amount, posting_date::text from bilag.export_report(%s) order by line_no", run)
    assert lines == [(Decimal("-100.50"), "2026-03-05"), (Decimal("100.50"), "2026-03-05")]


def test_a_reversal_is_minus_the_lines_as_booked_though_mappings_settings_and_dimensions_changed(
    org: Organisation, vendor: Vendor
) -> None:
    org.map("Hotel", "7160", vat_code="25", dimensions={"DEPARTMENT": "SALES"})
    claim = org.claim("C-1", Line("Hotel", "80"), Line("Taxi", "20.25", dimensions={"PROJECT": "P1"}))
    export(org, vendor)
    org.database.sql("update bilag.account_mappings set account_code = '9999', vat_code = null, dimensions = '{}'")
    org.configure(settlement_account="2999")
    org.database.sql(REVERSE, claim, DAY)
    vendor.work()
    booked, mirror = vendor.holds.values()
    assert [{**line, "amount": -Decimal(line["amount"])} for line in booked["lines"]] == [
        {**line, "amount": Decimal(line["amount"])} for line in mirror["lines"]
    ]
    assert mirror["reference"] != booked["reference"]


def test_after_a_reversal_a_person_lets_the_claim_go_again(org: Organisation, vendor: Vendor, claim: UUID) -> None:
    org.database.sql(REVERSE, claim, DAY)
    vendor.work()
    org.database.sql(RELEASE, claim)
    assert shown(org)[0] == "approved, waits for the next export"
    export(org, vendor)
    assert shown(org) == ("booked", None)
    assert len(vendor.holds) == 3
    assert set(vendor.posts.values()) == {1}
    org.database.sql(REVERSE, claim, DAY)
    vendor.work()
    assert len(vendor.holds) == 4, "the second voucher has a mirror of its own"
    assert vendor.sums() == {"7140": Decimal(0), "2910": Decimal(0)}


def test_a_reversed_claim_may_be_reopened_corrected_and_exported_anew(
    org: Organisation, vendor: Vendor, claim: UUID
) -> None:
    reopen: LiteralString = "select bilag.reopen_claim(%s, 'wrong amount')"
    with refused("KB008"):
        org.database.sql(reopen, claim)
    org.database.sql(REVERSE, claim, DAY)
    with refused("KB008"):
        org.database.sql(reopen, claim)
    vendor.work()
    org.database.sql(reopen, claim)
    export(org, vendor)
    assert len(vendor.holds) == 2
    org.database.sql("update bilag.expense_claim_lines set amount = 9")
    org.database.sql("update bilag.expense_claims set status = 'approved'")
    export(org, vendor)
    assert vendor.sums() == {"7140": Decimal(9), "2910": Decimal(-9)}


def test_a_second_click_changes_nothing(org: Organisation, vendor: Vendor, claim: UUID) -> None:
    first = org.database.value(REVERSE, claim, DAY)
    assert org.database.value(REVERSE, claim, DAY) == first
    with refused("KB004", "is being reversed by voucher 2"):
        org.database.sql(REVERSE, claim, "2026-03-09")
    with refused("KB004", "is being reversed"):
        org.database.sql(RELEASE, claim)
    vendor.work()
    with refused("KB004", "is reversed already, by voucher 2 of 2026-03-02"):
        org.database.sql(REVERSE, claim, DAY)
    assert audited(org).count("claim.reversal_requested") == 1


def test_a_second_release_changes_nothing(org: Organisation, vendor: Vendor, claim: UUID) -> None:
    vendor.delete(reference(org))
    org.database.sql(RELEASE, claim)
    org.database.sql(RELEASE, claim)
    with refused("KB004", "is being released"):
        org.database.sql(REVERSE, claim, DAY)
    vendor.work()
    with refused("KB004", "was released already"):
        org.database.sql(RELEASE, claim)
    with refused("KB004", "was released already"):
        org.database.sql(REVERSE, claim, DAY)
    assert audited(org) == ["claim.release_requested", "claim.released"]


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


def test_a_reversal_needs_a_reason_and_an_open_day(org: Organisation, claim: UUID) -> None:
    with refused("KB001", "needs a reason"):
        org.database.sql("select bilag.reverse_export(%s, 'xledger', %s, ' ')", claim, DAY)
    with refused("KB001", "needs a reason"):
        org.database.sql("select bilag.release_for_reexport(%s, 'xledger', null)", claim)
    for day in (None, "infinity"):
        with refused("KB001", "no day to book"):
            org.database.sql(REVERSE, claim, day)
    org.database.sql("update bilag.integration_config set books_closed_until = '2026-03-31'")
    with refused("KB004", "The books are closed until 2026-03-31"):
        org.database.sql(REVERSE, claim, "2026-03-31")
    org.database.sql(REVERSE, claim, "2026-04-01")


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
