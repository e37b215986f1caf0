"""The whole matrix of privileges: what is not named here is granted to nobody."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker

ROLES = ["anon", "authenticated", "service_role", "bilag_worker", "bilag_observer"]
PEOPLE = {
    "request_export", "preview_export", "export_status", "export_report", "cancel_export", "retry_export",
    "export_file",
    "explain_claim", "resolve_in_doubt", "mark_booked", "exclude_claim", "include_claim", "reopen_claim",
    "set_integration_credential", "pause_integration", "resume_integration", "resolve_alert", "upsert_claims",
}  # fmt: skip
SERVICE = PEOPLE | {
    "pause_everything",
    "resume_everything",
    "redrive",
    "discard",
    "verify_audit",
    "allow_host",
    "disallow_host",
}
HELPERS = {"my_org_ids", "my_finance_org_ids", "is_service", "clock_now", "tell", "claims_by_state", "run_progress"}
OWN = {"caller", "my_claim_ids", "my_claim_exports"}
WORKER = {
    "hello", "claim_exports", "settle_exports", "beat", "log_attempts", "read_credential",
    "fell_back", "work_left", "tick",
}  # fmt: skip
QUEUES = {"queue_lengths", "dead_letters"}
EXECUTABLE = {
    "anon": set(),
    "authenticated": PEOPLE | HELPERS | OWN,
    "service_role": SERVICE | HELPERS | OWN | QUEUES,
    "bilag_worker": WORKER,
    "bilag_observer": HELPERS | QUEUES,
}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_executes_exactly_its_functions(catalogue: Database, role: str) -> None:
    rows = catalogue.sql(
        "select distinct p.proname from pg_proc p"
        " where p.pronamespace::regnamespace::text in ('bilag', 'bilag_internal')"
        " and has_function_privilege(%s, p.oid, 'execute')",
        role,
    )
    assert {name for (name,) in rows} == EXECUTABLE[role]


def test_public_executes_nothing(catalogue: Database) -> None:
    rows = catalogue.sql(
        "select p.oid::regprocedure::text"
        " from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a"
        " where p.pronamespace::regnamespace::text in ('bilag', 'bilag_internal', 'bilag_hooks') and a.grantee = 0"
    )
    assert rows == []


@pytest.mark.parametrize(
    ("role", "schemas"),
    [
        ("anon", set()),
        ("authenticated", {"bilag", "bilag_hooks"}),
        ("service_role", {"bilag", "bilag_hooks"}),
        ("bilag_worker", {"bilag_internal"}),
        ("bilag_observer", {"bilag"}),
    ],
)
def test_each_role_uses_exactly_its_schemas(catalogue: Database, role: str, schemas: set[str]) -> None:
    rows = catalogue.sql(
        "select nspname from pg_namespace where nspname in ('bilag', 'bilag_internal', 'bilag_hooks', 'pgmq', 'vault')"
        " and has_schema_privilege(%s, oid, 'usage')",
        role,
    )
    assert {name for (name,) in rows} == schemas


@pytest.mark.parametrize("role", ["anon", "bilag_worker"])
def test_anon_and_the_worker_have_no_table_at_all(catalogue: Database, role: str) -> None:
    privileges = ["select", "insert", "update", "delete", "truncate", "references", "trigger"]
    rows = catalogue.sql(
        "select c.oid::regclass::text from pg_class c where c.relkind in ('r', 'v', 'p')"
        " and c.relnamespace::regnamespace::text in ('bilag', 'bilag_internal', 'pgmq', 'vault')"
        " and (has_table_privilege(%s, c.oid, %s) or has_any_column_privilege(%s, c.oid, 'select, insert, update'))",
        role,
        ", ".join(privileges),
        role,
    )
    assert rows == []


def writes(catalogue: Database, role: str, privilege: str) -> set[str]:
    check = "has_table_privilege" if privilege in ("delete", "truncate") else "has_any_column_privilege"
    rows = catalogue.connect().execute(
        f"select c.relname from pg_class c where c.relkind in ('r', 'v') and c.relnamespace = 'bilag'::regnamespace"
        f" and {check}(%s, c.oid, %s)".encode(),
        [role, privilege],
    )
    return {name for (name,) in rows.fetchall()}


def test_a_person_writes_exactly_these_tables(catalogue: Database) -> None:
    written = {"integration_config", "account_mappings", "export_schedules", "export_runs"}
    written |= {"expense_claims", "expense_claim_lines"}
    assert writes(catalogue, "authenticated", "insert") == written
    assert writes(catalogue, "authenticated", "update") == written - {"export_runs"}
    assert writes(catalogue, "authenticated", "delete") == written - {"integration_config", "export_runs"}


def test_service_writes_the_nouns_of_the_application_and_none_of_the_machinery(catalogue: Database) -> None:
    application = {"organizations", "organization_members", "expense_claims", "expense_claim_lines"}
    steering = {"integration_config", "account_mappings", "export_schedules", "export_runs"}
    health = {"integration_health_status", "health_check_history"}
    assert writes(catalogue, "service_role", "insert") == application | steering | health
    assert writes(catalogue, "service_role", "update") == (application | steering | health) - {"export_runs"}
    assert writes(catalogue, "service_role", "delete") == application | {"account_mappings", "export_schedules"}


@pytest.mark.parametrize("role", ROLES)
def test_nobody_truncates_and_observers_write_nothing(catalogue: Database, role: str) -> None:
    assert writes(catalogue, role, "truncate") == set()
    for privilege in ("insert", "update", "delete"):
        assert writes(catalogue, "bilag_observer", privilege) == set()


def test_no_person_says_that_a_claim_is_booked_or_which_transaction_approved_it(catalogue: Database) -> None:
    for role in ("authenticated", "service_role"):
        for column in ("booked", "approved_in"):
            for privilege in ("insert", "update"):
                allowed = catalogue.value(
                    "select has_column_privilege(%s, 'bilag.expense_claims', %s, %s)", role, column, privilege
                )
                assert not allowed, (role, column, privilege)


def test_a_run_is_inserted_by_four_columns_only(catalogue: Database) -> None:
    for role in ("authenticated", "service_role"):
        rows = catalogue.sql(
            "select attname from pg_attribute where attrelid = 'bilag.export_runs'::regclass and attnum > 0"
            " and not attisdropped and has_column_privilege(%s, attrelid, attnum, 'insert')",
            role,
        )
        assert {name for (name,) in rows} == {"org_id", "integration_type", "period_end", "idempotency_key"}


def test_service_writes_claims_as_an_application_server_does(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    with bilag.database.as_user(uuid4(), "service_role") as connection:
        row = connection.execute(
            "insert into bilag.expense_claims (org_id, claim_number, status) values (%s, %s, 'approved') returning id",
            [org.id, "C-1"],
        ).fetchone()
        assert row is not None
        connection.execute(
            "insert into bilag.expense_claim_lines (org_id, claim_id, line_no, category, amount)"
            " values (%s, %s, 1, 'Taxi', 5)",
            [org.id, row[0]],
        )
        connection.execute("insert into bilag.export_runs (org_id, integration_type) values (%s, 'xledger')", [org.id])
    worker.work()
    assert org.states() == {"C-1": "exported"}


def alert_of(bilag: Bilag, org: Organisation) -> int:
    bilag.database.sql("select bilag_internal.raise_alert('doubled', 'a', %s, 'xledger', 'words')", org.id)
    return int(bilag.database.value("select id from bilag.alerts"))


def test_somebody_of_another_organisation_may_call_nothing_on_this_one(bilag: Bilag, org: Organisation) -> None:
    claim, run = org.claim("C-1"), org.request()
    stranger = bilag.organisation("Other").member()
    calls = {
        "request_export(%s, 'xledger')": org.id, "preview_export(%s, 'xledger')": org.id, "export_status(%s)": run,
        "export_file(%s)": run,
        "export_report(%s)": run, "cancel_export(%s)": run, "retry_export(%s)": run, "explain_claim(%s, 'C-1')": org.id,
        "resolve_in_doubt(%s, 'xledger', 'booked')": claim, "mark_booked(%s, 'xledger', 'V', null)": claim,
        "exclude_claim(%s, 'xledger', 'x')": claim, "include_claim(%s, 'xledger')": claim,
        "reopen_claim(%s, 'x')": claim, "set_integration_credential(%s, 'xledger', 'x')": org.id,
        "pause_integration(%s, 'xledger', 'x')": org.id,
        "resume_integration(%s, 'xledger')": org.id, "upsert_claims(%s, '[]')": org.id,
        "resolve_alert(%s, 'x')": alert_of(bilag, org),
    }  # fmt: skip
    assert {call.split("(")[0] for call in calls} == PEOPLE
    for call, argument in calls.items():
        with bilag.database.as_user(stranger) as connection, pytest.raises(psycopg.Error) as caught:
            connection.execute(f"select bilag.{call}".encode(), [argument])
        assert caught.value.sqlstate in ("KB002", "KB003"), call
    for call, argument in calls.items():
        with bilag.database.as_user(uuid4(), "anon") as connection, pytest.raises(psycopg.Error) as caught:
            connection.execute(f"select bilag.{call}".encode(), [argument])
        assert caught.value.sqlstate == "42501", call
