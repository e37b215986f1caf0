"""A file is described by its run's status and fetched by finance; what it is to be is checked as it is configured."""

from __future__ import annotations

import hashlib
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


def test_the_bytes_of_a_file_do_not_change_under_its_hash(bilag: Bilag, club: Organisation, files: FileWorker) -> None:
    club.claim("C-1")
    run = club.request(kind="file")
    files.export()
    with pytest.raises(psycopg.errors.CheckViolation):
        bilag.database.sql("update bilag.export_files set content = 'x' where run_id = %s", run)
    assert bilag.database.value("select bilag.verify_audit(%s)", club.id) is None
