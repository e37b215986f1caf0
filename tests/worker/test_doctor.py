"""``bilag doctor``: for each way in which a set-up is broken, the one line that says so, and its mend."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from dev.postgres import Server
from tests.fix_bilag import Bilag, Organisation
from tests.fix_postgres import Database as Installed
from tests.fix_shell import Shell
from tests.fix_vault import use_key


class Doctor:
    """What it said of each thing that is not well: sentence and mend."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def finds(self) -> dict[str, tuple[str, str]]:
        said = self._shell("doctor", "--json")
        checks: list[dict[str, Any]] = said.json
        wrong = {check["name"]: (check["said"], check["mend"]) for check in checks if not check["well"]}
        assert said.code == (1 if wrong else 0)
        assert all(sentence and mend for sentence, mend in wrong.values()), wrong
        return wrong


@pytest.fixture
def doctor(bilag_shell: Shell, bilag: Bilag) -> Doctor:
    """Of a set-up that is well in everything."""
    bilag.worker().tick()
    doctor = Doctor(bilag_shell)
    assert doctor.finds() == {}
    return doctor


@pytest.fixture
def equipped(org: Organisation) -> Organisation:
    """An organisation with a credential."""
    org.database.sql("select bilag.set_integration_credential(%s, 'xledger', 'token')", org.id)
    return org


def test_a_server_that_does_not_answer(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hunter2@127.0.0.1:1/db")
    sentence, mend = Doctor(shell).finds()["server"]
    assert "refused" in sentence
    assert "hunter2" not in sentence
    assert "DATABASE_URL" in mend


@pytest.mark.parametrize(
    ("name", "meant"), [("BILAG_CONCURENCY", "BILAG_CONCURRENCY"), ("BILAG_DATABASE_URL", "DATABASE_URL")]
)
def test_a_variable_that_is_misspelled(doctor: Doctor, monkeypatch: pytest.MonkeyPatch, name: str, meant: str) -> None:
    monkeypatch.setenv(name, "3")
    assert doctor.finds()["variables"] == (
        f"{name} is set and nothing reads it; {meant} is what is read.",
        "Name it as .env.example does.",
    )


def test_no_variable_that_is_documented_is_taken_for_a_misspelled_one(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).resolve().parents[2] / ".env.example").read_text(encoding="utf-8")
    others = {name for name in re.findall(r"^#?(BILAG_[A-Z_]+)=", text, re.MULTILINE) if name not in os.environ}
    for name in others:
        monkeypatch.setenv(name, "")
    assert len(others) > 10
    assert doctor.finds() == {}


def test_transactions_that_see_an_old_state(doctor: Doctor, database: Installed) -> None:
    name = database.value("select current_database()")
    setting = "default_transaction_isolation = 'repeatable read'"
    database.connect().execute(f'alter database "{name}" set {setting}'.encode())
    sentence, mend = doctor.finds()["isolation"]
    assert "Transactions begin as repeatable read here" in sentence
    assert "alter database" in mend


def test_a_database_that_nobody_migrated(
    shell: Shell, empty_database: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database.dsn)
    found = Doctor(shell).finds()
    assert "server" not in found
    assert "bilag migrate" in " ".join(found["schema"])
    assert "bilag migrate" in " ".join(found["vault"])


def test_a_login_that_is_no_worker(doctor: Doctor, database: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"nobody_{uuid4().hex[:8]}"
    database.sql(psycopg.sql.SQL("create role {} login").format(psycopg.sql.Identifier(name)).as_string())
    monkeypatch.setenv("BILAG_MIGRATE_URL", database.dsn)
    monkeypatch.setenv("DATABASE_URL", psycopg.conninfo.make_conninfo(database.dsn, user=name))
    found = doctor.finds()
    assert "permission denied to set role" in found["role"][0]
    assert "grant bilag_worker" in found["role"][1]
    assert set(found) >= {"role"}
    assert "schema" not in found


def test_a_worker_of_staging_at_the_database_of_production(
    doctor: Doctor, database: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.sql("update bilag.installation set environment = 'production'")
    monkeypatch.setenv("BILAG_ENVIRONMENT", "staging")
    sentence, _ = doctor.finds()["agreement"]
    assert "'staging'" in sentence
    assert "'production'" in sentence


def test_a_vault_that_is_not_there(doctor: Doctor, database: Installed) -> None:
    database.sql("drop schema vault cascade")
    found = doctor.finds()
    assert "There is no Vault in this database" in found["vault"][0]
    assert "There is no Vault in this database" in found["agreement"][0], "so does no worker start"


def test_a_root_key_of_another_server(doctor: Doctor, equipped: Organisation, database: Installed) -> None:
    root_key(database, "another.key", "f" * 64)
    sentence, _ = doctor.finds()["vault"]
    assert "another.key does not open secret" in sentence


def test_a_root_key_that_is_gone(doctor: Doctor, equipped: Organisation, database: Installed) -> None:
    root_key(database, "gone.key")
    sentence, _ = doctor.finds()["vault"]
    assert "there is no file" in sentence
    assert "gone.key" in sentence


def root_key(database: Installed, name: str, key: str | None = None) -> None:
    """Another root key for every session from now on."""
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        path = use_key(connection, name, key)
        alter = psycopg.sql.SQL("alter database {} set bilag.vault_key_file = {}")
        connection.execute(alter.format(psycopg.sql.Identifier(connection.info.dbname), path))


def test_a_vault_that_its_owner_does_not_let_us_read(
    platform: Server, project: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", project)
    assert shell("migrate").code == 0
    with platform.connect(str(psycopg.conninfo.conninfo_to_dict(project)["dbname"])) as connection:
        connection.execute("revoke select on vault.decrypted_secrets from app_owner")
    sentence, _ = Doctor(shell).finds()["vault"]
    assert "app_owner, who owns the functions of Bilag, may not read Vault" in sentence
    assert "grant select on vault.secrets, vault.decrypted_secrets to app_owner" in sentence


def test_an_integration_without_its_secret(doctor: Doctor, org: Organisation) -> None:
    sentence, mend = doctor.finds()["credentials"]
    assert sentence == "No valid credential for: Testlaget xledger."
    assert "bilag secret set" in mend


def test_a_secret_whose_date_has_passed(doctor: Doctor, equipped: Organisation) -> None:
    assert doctor.finds() == {}
    equipped.database.sql("update bilag.integration_config set credential_expires_at = '2020-01-01'")
    assert "Testlaget xledger" in doctor.finds()["credentials"][0]


def test_credentials_from_the_environment(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILAG_CREDENTIAL_FALLBACK", "env")
    assert "BILAG_CREDENTIAL_FALLBACK is on" in doctor.finds()["credentials"][0]


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://erp.internal/graphql", "plain http to erp.internal is not allowed; BILAG_ALLOWED_HTTP_HOSTS lists"),
        ("https://erp.example/graphql", "the host erp.example is not allowed; bilag.allow_host() allows"),
    ],
)
def test_a_url_that_no_worker_would_call(doctor: Doctor, org: Organisation, url: str, sentence: str) -> None:
    org.database.sql("select bilag.allow_host('xledger', 'erp.example')")
    org.configure(base_url=url)
    org.database.sql("select bilag.set_integration_credential(%s, 'xledger', 'token')", org.id)
    org.database.sql("select bilag.disallow_host('xledger', 'erp.example')")
    found = doctor.finds()
    assert set(found) == {"hosts"}
    assert found["hosts"][0].startswith(f"Testlaget xledger would not be called: {sentence}")


def test_a_heart_that_stopped(doctor: Doctor, database: Installed) -> None:
    database.sql("update bilag.installation set ticked_at = ticked_at - interval '10 minutes'")
    assert "schedules do not start and nothing heals" in doctor.finds()["tick"][0]


def test_a_schema_that_somebody_changed(doctor: Doctor, database: Installed) -> None:
    database.sql("drop view bilag.stuck")
    assert "stuck" in doctor.finds()["schema"][0]


def test_the_worker_does_not_start_without_a_vault_and_says_what_is_wrong(
    bilag_shell: Shell, database: Installed
) -> None:
    database.sql("drop schema vault cascade")
    said = bilag_shell("worker", "--drain")
    assert said.code == 1
    assert "There is no Vault in this database" in said.err
    assert "Traceback" not in said.err
