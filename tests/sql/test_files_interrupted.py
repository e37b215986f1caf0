"""Workers die, reports come late, runs are cancelled, servers restored: a voucher is in one file or not exported."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.file_worker import FileWorker, file_of, holds_what_was_exported, numbers, small_batches


@pytest.mark.parametrize("change", [{"content": None}, {"outcome": "accepted"}], ids=["no bytes", "accepted"])
def test_a_claim_is_exported_and_in_its_file_or_neither(
    club: Organisation, files: FileWorker, change: dict[str, Any]
) -> None:
    club.claim("C-1")
    club.request(kind="file")
    report = files.render(files.claim_one())
    report["results"][0] |= change
    files.tell(report)
    assert club.states("file") == {"C-1": "in_doubt"}
    assert club.database.sql("select booked from bilag.expense_claims") == [(False,)]


def test_a_report_told_twice_writes_the_voucher_once(club: Organisation, files: FileWorker) -> None:
    club.approve(3)
    run = club.request(kind="file")
    report = files.render(files.claim_one())
    files.tell(report, report)
    files.tell(report)
    assert len(numbers(file_of(club, run))) == 3
    holds_what_was_exported(club, run)


def test_a_worker_that_dies_before_its_report_has_written_nothing_and_another_one_does(
    bilag: Bilag, club: Organisation, files: FileWorker
) -> None:
    club.approve(3)
    run = club.request(kind="file")
    late = files.render(files.claim_one())
    bilag.advance(seconds=61)
    files.export()
    assert club.status(run)["status"] == "succeeded"
    assert len(numbers(file_of(club, run))) == 3
    files.tell(late)
    holds_what_was_exported(club, run)
    assert bilag.database.sql("select kind from bilag.open_alerts") == []


def test_a_word_that_comes_after_its_lease_is_no_evidence(bilag: Bilag, club: Organisation, files: FileWorker) -> None:
    small_batches(club, 2)
    club.approve(4)
    run = club.request(kind="file")
    late = files.render(files.claim_one())
    bilag.advance(seconds=61)
    looking = files.claim_one()
    assert looking["kind"] == "find"
    files.tell(late)
    assert set(club.states("file").values()) == {"in_doubt", "pending"}
    (again,) = files.tell(files.render(looking))
    assert again["kind"] == "post"
    files.tell(late)
    assert "exported" not in club.states("file").values()
    (last,) = files.tell(files.render(again))
    files.tell(files.render(last))
    assert len(numbers(file_of(club, run))) == 4
    holds_what_was_exported(club, run)
    assert bilag.database.sql("select kind from bilag.open_alerts") == []


def test_a_run_cancelled_under_a_dead_worker_keeps_its_file_and_a_late_report_does_not_change_it(
    bilag: Bilag, club: Organisation, files: FileWorker
) -> None:
    small_batches(club, 2)
    club.approve(6)
    run = club.request(kind="file")
    (second,) = files.tell(files.render(files.claim_one()))
    late = files.render(second)
    bilag.advance(seconds=61)
    assert bilag.database.value("select bilag.cancel_export(%s)", run) == "cancelled"
    before = file_of(club, run)
    assert numbers(before) == ["C-0001", "C-0002"]
    files.tell(late)
    assert file_of(club, run) == before
    rest = club.request(kind="file")
    bilag.advance(seconds=6)
    files.export()
    files.export()
    assert file_of(club, run) == before
    holds_what_was_exported(club, run)
    late_run = club.request(kind="file")
    files.export()
    written = numbers(before) + [
        number for each in (rest, late_run) if file_of(club, each) for number in numbers(file_of(club, each))
    ]
    assert sorted(written) == [f"C-{n:04}" for n in range(1, 7)]


def test_after_a_restore_only_a_person_knows_what_was_imported(
    bilag: Bilag, club: Organisation, files: FileWorker
) -> None:
    claim = club.claim("C-1")
    bilag.advance(hours=1)
    bilag.database.sql("select bilag_internal.recover(bilag_internal.now() - interval '2 hours')")
    club.request(kind="file")
    files.export()
    bilag.advance(minutes=2)
    files.export()
    assert club.states("file") == {"C-1": "in_doubt"}
    ((reason,),) = bilag.database.sql("select reason from bilag.claim_exports")
    assert reason == "Whether a file that the database forgot was imported, only a person knows."
    bilag.database.sql("select bilag.resolve_in_doubt(%s, 'file', 'not_booked')", claim)
    files.export()
    run = club.request(kind="file")
    files.export()
    assert club.states("file") == {"C-1": "exported"}
    assert numbers(file_of(club, run)) == ["C-1"]


def test_what_was_in_doubt_before_a_restore_may_be_in_a_file_that_is_forgotten(
    bilag: Bilag, club: Organisation, files: FileWorker
) -> None:
    club.claim("C-1")
    club.request(kind="file")
    files.claim_one()
    bilag.advance(seconds=61)
    files.tick()
    assert club.states("file") == {"C-1": "in_doubt"}
    bilag.database.sql("select bilag_internal.recover(bilag_internal.now() - interval '2 hours')")
    bilag.advance(minutes=2)
    files.export()
    assert club.states("file") == {"C-1": "in_doubt"}
