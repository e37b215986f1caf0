"""A run of a system that takes files leaves one file: its exported vouchers, each once, whatever happens on the way."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.fix_bilag import Bilag, Line, Organisation
from tests.gbat10 import read_gbat10
from tests.sql.file_worker import FileWorker, file_of
from tests.sql.refusals import refused


@pytest.fixture
def club(bilag: Bilag) -> Organisation:
    """An organisation whose one integration is files, in CSV."""
    made = Organisation(bilag.database, "Fillaget", "Europe/Oslo", bilag.connection)
    made.integration("file", {"format": "csv"})
    made.map("Taxi", "7140", "file")
    made.map("Meals", "7150", "file")
    return made


@pytest.fixture
def files(bilag: Bilag) -> FileWorker:
    made = FileWorker(bilag.database)
    made.hello()
    return made


def rows(content: bytes | None) -> list[dict[str, str]]:
    assert content is not None
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))


def numbers(content: bytes | None) -> list[str]:
    return [row["claim_number"] for row in rows(content) if row["account_code"] == "2910"]


def small_batches(org: Organisation, vouchers: int) -> None:
    org.database.sql("update bilag.integration_types set vouchers_per_batch = %s", vouchers)


def holds_what_was_exported(org: Organisation, run: UUID) -> None:
    """The file of an ended run and what the database calls exported are the same vouchers, each once."""
    exported = org.database.sql(
        "select c.claim_number from bilag.export_items i join bilag.expense_claims c on c.id = i.claim_id"
        " where i.run_id = %s and i.state = 'exported' order by i.voucher_number",
        run,
    )
    content = file_of(org, run)
    assert numbers(content) == [number for (number,) in exported] if exported else content is None
    assert org.database.sql("select from bilag_internal.files_begun where run_id = %s", run) == []
    assert (
        org.database.sql(
            "select from bilag_internal.file_pieces p join bilag.export_items i on i.id = p.item_id where run_id = %s",
            run,
        )
        == []
    )


def test_a_run_leaves_a_gbat10_file_and_export_file_answers_its_bytes(
    bilag: Bilag, club: Organisation, files: FileWorker
) -> None:
    club.configure("file", format="gbat10")
    club.claim("C-1", Line("Taxi", "450.00", description="Drosje"), Line("Meals", "389.50"))
    run = club.request(kind="file")
    files.export()
    status = club.status(run)
    content = file_of(club, run)
    assert content is not None
    assert [(row.account, str(row.amount)) for row in read_gbat10(content)] == [
        ("7140", "450.00"),
        ("7150", "389.50"),
        ("2910", "-839.50"),
    ]
    assert status["status"] == "succeeded"
    assert status["file"] == {
        "name": f"file-2026-03-02-{str(run)[:8]}.gbat10.csv",
        "mediaType": "text/csv; charset=utf-8; header=absent",
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    with bilag.database.as_user(club.member()) as treasurer:
        answered = treasurer.execute("select bilag.export_file(%s)", [run]).fetchone()
        headers = treasurer.execute("select current_setting('response.headers')").fetchone()
    assert answered == (content,)
    assert headers is not None
    assert json.loads(headers[0]) == [
        {"Content-Type": "text/csv; charset=utf-8; header=absent"},
        {"Content-Disposition": f'attachment; filename="{status["file"]["name"]}"'},
        {"Cache-Control": "no-store"},
    ]


def test_nobody_but_finance_gets_the_file(bilag: Bilag, club: Organisation, files: FileWorker) -> None:
    club.claim("C-1")
    run = club.request(kind="file")
    files.export()
    refusals = {club.member("member"): "KB003", bilag.organisation("Other").member(): "KB002", uuid4(): "KB002"}
    for person, code in refusals.items():
        with bilag.database.as_user(person) as connection, pytest.raises(psycopg.Error) as caught:
            connection.execute("select bilag.export_file(%s)", [run])
        assert caught.value.sqlstate == code
        with bilag.database.as_user(person) as connection:
            assert connection.execute("select from bilag.export_files").fetchall() == []
            headers = connection.execute("select current_setting('response.headers', true)").fetchone()
        assert headers in [(None,), ("",)]


def test_a_run_without_a_file_says_why(bilag: Bilag, club: Organisation, files: FileWorker) -> None:
    def hint(of: UUID) -> str | None:
        with pytest.raises(psycopg.Error, match="has no file") as caught:
            bilag.database.sql("select bilag.export_file(%s)", of)
        assert caught.value.sqlstate == "KB002"
        return caught.value.diag.message_hint

    club.claim("C-1", Line("Drone", "5.00"))
    run = club.request(kind="file")
    assert hint(run) == "It has one when it has ended: poll export_status."
    files.export()
    assert hint(run) == "It exported nothing: bilag.claim_exports says why."
    other = bilag.organisation().request()
    assert hint(other) == "xledger makes no files: export_report has every line."
    assert club.status(run)["file"] is None


@pytest.mark.parametrize(
    ("own", "sentence"),
    [
        ({"settlement_account": "2910"}, "The setting format is missing."),
        ({"format": "csv"}, "The setting settlement_account is missing."),
        ({"format": "pdf", "settlement_account": "2910"}, "The setting format must be one of"),
        ({"format": "csv", "settlement_account": ""}, "The setting settlement_account must have at least 1 character."),
        ({"format": "csv", "settlement_account": "9" * 41}, "settlement_account must have at most 40 characters."),
        ({"format": "csv", "settlement_account": "2910", "path": "here"}, "There is no setting path; there are:"),
        (
            {"format": "gbat10", "settlement_account": "2910", "voucher_type": "A"},
            "voucher_type does not have the form",
        ),
        ({"format": "gbat10", "settlement_account": 2910}, "The setting settlement_account must be of type string."),
    ],
)
def test_settings_that_do_not_fit_are_refused_as_they_are_written_and_the_sentence_names_the_field(
    bilag: Bilag, club: Organisation, own: dict[str, Any], sentence: str
) -> None:
    with refused("KB007", sentence):
        bilag.database.sql("update bilag.integration_config set settings = %s where org_id = %s", Jsonb(own), club.id)
    other = bilag.organisation("Other")
    with refused("KB007", sentence):
        bilag.database.sql(
            "insert into bilag.integration_config (org_id, integration_type, settings) values (%s, 'file', %s)",
            other.id,
            Jsonb(own),
        )


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


def test_a_claim_is_exported_and_in_its_file_or_neither(club: Organisation, files: FileWorker) -> None:
    club.claim("C-1")
    club.request(kind="file")
    report = files.render(files.claim_one())
    del report["results"][0]["content"]
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


def test_the_audit_and_the_hash_are_of_what_is_downloaded(bilag: Bilag, club: Organisation, files: FileWorker) -> None:
    club.claim("C-1")
    run = club.request(kind="file")
    files.export()
    with pytest.raises(psycopg.errors.CheckViolation):
        bilag.database.sql("update bilag.export_files set content = 'x' where run_id = %s", run)
    assert bilag.database.value("select bilag.verify_audit(%s)", club.id) is None
