"""What operators run: migrate, doctor, worker."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.fix_postgres import Database as Installed
from tests.fix_shell import Shell
from tests.sql.fake_worker import FakeWorker


def test_migrate_says_when_there_is_nothing_to_do(bilag_shell: Shell) -> None:
    assert bilag_shell("migrate").out.endswith("Nothing to do: the database is at this version.\n")
    checked = bilag_shell("migrate", "--check")
    assert (checked.code, checked.out) == (0, "The database is at this version.\n")
    assert bilag_shell("migrate", "--json").json["changed"] is False


def test_migrate_check_reports_drift(bilag_shell: Shell, database: Installed) -> None:
    database.sql("drop view bilag.stuck")
    checked = bilag_shell("migrate", "--check", "--json")
    assert checked.code == 1
    assert checked.json["drift"]


def test_doctor_has_a_line_for_everything_and_a_mend_for_what_fails(bilag_shell: Shell, bilag: Bilag) -> None:
    checks: list[dict[str, Any]] = bilag_shell("doctor", "--json").json
    wrong = {check["name"]: check["mend"] for check in checks if not check["well"]}
    assert set(wrong) == {"tick"}, "nothing ticks in a test's database"
    assert all(check["mend"] for check in checks if not check["well"])
    worker = FakeWorker(bilag.database)
    worker.hello()
    worker.tick()
    said = bilag_shell("doctor")
    assert (said.code, "FAIL" in said.out) == (0, False)


def test_doctor_tells_another_environment_from_a_broken_database(
    bilag_shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BILAG_ENVIRONMENT", "production")
    said = bilag_shell("doctor")
    assert said.code == 1
    assert "This worker serves environment 'production', the database is 'development'." in said.out


def test_doctor_names_integrations_without_a_credential(bilag_shell: Shell, org: Organisation) -> None:
    assert "No valid credential for: Testlaget xledger." in bilag_shell("doctor").out


def test_a_worker_of_another_environment_does_not_start(bilag_shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILAG_ENVIRONMENT", "production")
    said = bilag_shell("worker", "--drain")
    assert said.code == 1
    assert said.err.startswith("bilag: This worker serves environment 'production', the database is 'development'.")


def test_a_drain_of_an_idle_database_ends_at_once(bilag_shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILAG_HTTP_PORT", "0")
    assert bilag_shell("worker", "--drain", "--concurrency", "3").code == 0
