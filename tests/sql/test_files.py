"""A run of a system that takes files leaves one file: its exported vouchers, each once, in one format."""

from __future__ import annotations

from tests.fix_bilag import Line, Organisation
from tests.gbat10 import read_gbat10
from tests.sql.file_worker import FileWorker, file_of, holds_what_was_exported, numbers, rows, small_batches


def test_a_run_in_many_batches_has_one_file_in_the_order_of_the_numbers(club: Organisation, files: FileWorker) -> None:
    small_batches(club, 7)
    club.approve(40)
    run = club.request(kind="file")
    jobs = [files.claim_one()]
    assert club.status(run)["file"] is None
    batches = 0
    while jobs:
        batches += 1
        jobs = files.tell(*map(files.render, jobs))
    assert batches == 6
    content = file_of(club, run)
    assert numbers(content) == [f"C-{n:04}" for n in range(1, 41)]
    assert content is not None
    assert content.count(b"voucher_number") == 1, "one header"
    holds_what_was_exported(club, run)


def test_a_claim_released_before_its_run_has_ended_is_not_in_the_file(club: Organisation, files: FileWorker) -> None:
    small_batches(club, 2)
    club.approve(4)
    run = club.request(kind="file")
    (second,) = files.tell(files.render(files.claim_one()))
    club.database.sql(
        "select bilag.release_for_reexport(id, 'file', 'a mistake') from bilag.expense_claims"
        " where claim_number = 'C-0001'"
    )
    files.tell(files.render(second))
    assert numbers(file_of(club, run)) == ["C-0002", "C-0003", "C-0004"]
    holds_what_was_exported(club, run)
    again = club.request(kind="file")
    files.export()
    assert numbers(file_of(club, again)) == ["C-0001"]


def test_rejected_claims_are_not_in_the_file_and_a_retry_has_a_file_of_its_own(
    club: Organisation, files: FileWorker
) -> None:
    club.configure("file", format="gbat10")
    club.map("Boat", "71400", "file")
    club.claim("C-1")
    club.claim("C-2", Line("Boat", "10.00"))
    run = club.request(kind="file")
    files.export()
    assert club.states("file") == {"C-1": "exported", "C-2": "rejected"}
    told = club.database.sql("select reason, what_to_do from bilag.claim_exports where claim_number = 'C-2'")
    assert told == [
        (
            "The file format has no room for account 71400: at most 4 characters.",
            "Correct it in the mapping, the settings or the claim; then retry_export.",
        )
    ]
    club.database.sql("update bilag.account_mappings set account_code = '7141' where category = 'Boat'")
    again = club.database.value("select bilag.retry_export(%s)", run)
    files.export()
    first, second = file_of(club, run), file_of(club, again)
    assert first is not None
    assert second is not None
    assert [row.account for row in read_gbat10(first)] == ["7140", "2910"]
    assert [row.account for row in read_gbat10(second)] == ["7141", "2910"]


def test_a_file_is_written_in_the_format_that_its_first_batch_had(club: Organisation, files: FileWorker) -> None:
    small_batches(club, 2)
    club.approve(4)
    run = club.request(kind="file")
    first = files.claim_one()
    club.configure("file", format="gbat10")
    (second,) = files.tell(files.render(first))
    assert second["settings"]["format"] == "csv"
    files.tell(files.render(second))
    assert len(numbers(file_of(club, run))) == 4
    club.approve(1, prefix="D")
    later = club.request(kind="file")
    files.export()
    content = file_of(club, later)
    assert content is not None
    assert len(read_gbat10(content)) == 2


def test_text_that_the_format_cannot_hold_is_told_beside_the_booked_claim(
    club: Organisation, files: FileWorker
) -> None:
    club.configure("file", format="gbat10", encoding="iso-8859-1")
    club.claim("C-1", Line("Taxi", "5.00", description="Łódź; 10 €"))
    club.request(kind="file")
    files.export()
    ((state, code, reason, todo),) = club.database.sql(
        "select state, reason_code, reason, what_to_do from bilag.claim_exports"
    )
    assert (state, code) == ("booked", "text_altered")
    assert reason == (
        "Booked, but the file format could not hold all of the text:"
        ' ";" became ","; "Ł" became "?"; "ź" became "z"; "€" became "?".'
    )
    assert todo == "Nothing; export_report has the whole text."


def test_a_full_file_takes_no_more_and_a_retry_writes_the_rest(club: Organisation, files: FileWorker) -> None:
    small_batches(club, 2)
    club.approve(4)
    run = club.request(kind="file")
    (second,) = files.tell(files.render(files.claim_one()))
    club.database.sql("update bilag_internal.files_begun set bytes = bilag_internal.largest_file() - 200")
    files.tell(files.render(second))
    assert list(club.states("file").values()).count("rejected") == 1
    assert club.status(run)["status"] == "partially_succeeded"
    holds_what_was_exported(club, run)
    again = club.database.value("select bilag.retry_export(%s)", run)
    files.export()
    written = numbers(file_of(club, run)) + numbers(file_of(club, again))
    assert sorted(written) == [f"C-{n:04}" for n in range(1, 5)]


def test_a_claim_in_a_foreign_currency_goes_into_a_csv_and_not_into_a_gbat10(
    club: Organisation, files: FileWorker
) -> None:
    club.claim("C-1", currency="EUR")
    assert club.preview(kind="file")["wouldBook"] == 1
    club.configure("file", format="gbat10")
    assert club.preview(kind="file")["rejected"][0]["reasonCode"] == "currency_unsupported"
    club.configure("file", format="csv")
    run = club.request(kind="file")
    files.export()
    assert {row["currency"] for row in rows(file_of(club, run))} == {"EUR"}
