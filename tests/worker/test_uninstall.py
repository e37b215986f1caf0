"""``bilag uninstall``: what migrate made goes, as a whole or not at all, and nothing of anybody else's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from dev.postgres import throw_away
from tests.fix_bilag import Bilag, Organisation
from tests.fix_postgres import Connection, Database
from tests.fix_shell import Shell
from tests.fix_supabase import rows
from tests.sql.fake_worker import FakeWorker
from worker.migrate import MigrationError, migrate
from worker.migrate.uninstall import Choice, plan, uninstall

LEFT = """
    select nspname::text from pg_namespace where nspname like 'bilag%'
    union all select 'queue ' || queue_name from pgmq.list_queues() where queue_name like 'bilag%' order by 1"""
ALL = [
    "bilag", "bilag_hooks", "bilag_internal", "queue bilag_dead_letters", "queue bilag_exports",
    "queue bilag_health_checks", "queue bilag_webhooks",
]  # fmt: skip


@pytest.fixture
def fresh(empty_database: Database) -> Database:
    """A database of its own, for whoever wants to see it empty again."""
    migrate(empty_database.dsn)
    return empty_database


def refusal(dsn: str, choice: Choice | None = None) -> str:
    """Why it is refused; and nothing was changed by the attempt."""
    before = rows(dsn, LEFT)
    with pytest.raises(MigrationError) as caught:
        uninstall(dsn, choice or Choice())
    assert rows(dsn, LEFT) == before
    assert " ".join(plan(dsn, choice or Choice()).obstacles) == str(caught.value), "the dry run says the same"
    return str(caught.value)


def test_everything_of_ours_goes_and_migrate_works_again_from_scratch(fresh: Database) -> None:
    before = fresh.sql("select nspname::text from pg_namespace where nspname not like 'bilag%' order by 1")
    uninstall(fresh.dsn, Choice())
    assert fresh.sql(LEFT) == []
    assert fresh.sql("select nspname::text from pg_namespace order by 1") == before
    again = migrate(fresh.dsn)
    assert again.verbs_applied
    assert migrate(fresh.dsn, check=True).drift == ()
    Organisation(fresh, "Again", "Europe/Oslo").integration()


def test_a_dry_run_says_what_goes_and_changes_nothing(fresh: Database, shell: Shell) -> None:
    said = shell("uninstall", "--dsn", fresh.dsn, "--dry-run")
    assert said.code == 0
    for line in ("the queue bilag_exports (0 messages)", "table bilag.export_runs (about 0 rows)", "role bilag_worker"):
        assert line in said.out
    assert "In the way:" not in said.out
    assert shell("uninstall", "--dsn", fresh.dsn, "--dry-run", "--json").json["obstacles"] == []
    assert [name for (name,) in fresh.sql(LEFT)] == ALL


OTHERS = {
    "create view public.mine as select id from bilag.expense_claims": "view public.mine",
    "create table public.mine (claim uuid references bilag.expense_claims)": "constraint mine_claim_fkey on table",
    "create table public.mine (x bilag.expense_claims)": "table public.mine",
    "create function public.mine(bilag.expense_claims) returns int language sql as 'select 1'": "function public.mine(",
    "create view bilag.mine as select 1 as one": "view bilag.mine",
    "create table bilag.mine (id int)": "table bilag.mine",
    "create function bilag.mine() returns int language sql as 'select 1'": "function bilag.mine()",
    "create type bilag.mine as enum ('a')": "type bilag.mine",
    "create materialized view bilag_internal.mine as select 1 as one": "materialized view bilag_internal.mine",
    "create sequence bilag.mine": "sequence bilag.mine",
    "create function bilag_hooks.mine() returns int language sql as 'select 1'": "function bilag_hooks.mine()",
    "create policy mine on bilag.expense_claims using (true)": "policy mine on table bilag.expense_claims",
    "create trigger mine before update on bilag.expense_claims for each row execute function"
    " suppress_redundant_updates_trigger()": "trigger mine on table bilag.expense_claims",
    "create publication mine for table bilag.expense_claims": "publication of table bilag.expense_claims",
}


def test_nothing_goes_while_something_of_somebody_elses_would_fall_with_it(fresh: Database) -> None:
    for made, named in OTHERS.items():
        connection = fresh.connect()
        connection.execute(made.encode())
        said = refusal(fresh.dsn)
        assert said.startswith("Not Bilag's, and would fall with it: "), made
        assert named in said, (made, said)
        kind = "materialized view" if "materialized" in made else made.split()[1]
        where = " on bilag.expense_claims" if kind in ("policy", "trigger") else ""
        name = named_by(made)
        connection.execute(f"drop {kind} {name}{where}".encode())
    uninstall(fresh.dsn, Choice(force=True))
    assert fresh.sql(LEFT) == []


def named_by(made: str) -> str:
    return next(word for word in made.replace("(", " ").split() if word.split(".")[-1] == "mine")


def test_unsettled_vouchers_and_living_workers_stand_in_the_way_of_whoever_does_not_insist(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.approve(3)
    org.request()
    worker.claim_one()
    said = refusal(bilag.database.dsn)
    assert "Vouchers are not settled: 3 sending." in said
    assert "Workers are alive: here (pid 1)." in said
    assert "here" in refusal(bilag.database.dsn, Choice(keep_data=True))
    uninstall(bilag.database.dsn, Choice(force=True))
    assert bilag.database.sql(LEFT) == []


def test_secrets_stay_unless_their_end_is_asked_for_and_others_always_stay(
    bilag: Bilag, org: Organisation, shell: Shell
) -> None:
    database = bilag.database
    database.sql("select bilag.set_integration_credential(%s, 'xledger', 'hush')", org.id)
    database.sql("select vault.create_secret('theirs', 'integration_of_another_application_api_key')")
    ours = database.value("select bilag_internal.secret_names()")
    assert any(ours in line for line in plan(database.dsn, Choice()).stays)
    assert any(ours in line for line in plan(database.dsn, Choice(secrets=True)).goes)
    uninstall(database.dsn, Choice(secrets=True))
    assert database.sql("select name from vault.secrets") == [("integration_of_another_application_api_key",)]


def test_kept_data_is_all_there_and_works_again_after_migrate(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.approve(3)
    org.request()
    worker.work()
    bilag.advance(minutes=5)
    uninstall(bilag.database.dsn, Choice(keep_data=True))
    assert bilag.database.value("select count(*) from bilag.export_items where state = 'exported'") == 3
    left = "select count(*) from pg_proc where pronamespace::regnamespace::text in ('bilag', 'bilag_internal')"
    assert bilag.database.value(left) == 0
    with pytest.raises(MigrationError, match="run `bilag migrate` first"):
        uninstall(bilag.database.dsn, Choice())
    assert migrate(bilag.database.dsn).verbs_applied
    org.approve(2, prefix="MORE")
    org.request()
    worker.hello()
    worker.work()
    assert bilag.database.value("select count(*) from bilag.export_items where state = 'exported'") == 5
    assert bilag.database.value("select bilag.verify_audit(%s)", org.id) is None


def test_a_view_of_a_users_own_keeps_the_rooms_too(fresh: Database) -> None:
    fresh.sql("create view public.mine as select * from bilag.open_alerts")
    with pytest.raises(MigrationError, match=r"bilag.open_alerts has to go, but view public.mine leans on it"):
        uninstall(fresh.dsn, Choice(keep_data=True))
    assert migrate(fresh.dsn, check=True).drift == ()


def test_it_asks_for_the_name_of_the_database(fresh: Database, shell: Shell) -> None:
    name = fresh.value("select current_database()")
    without = shell("uninstall", "--dsn", fresh.dsn)
    assert (without.code, f"--confirm {name}" in without.err) == (2, True)
    wrong = shell("uninstall", "--dsn", fresh.dsn, "--confirm", "other")
    assert (wrong.code, "nothing was changed" in wrong.err) == (1, True)
    assert [name for (name,) in fresh.sql(LEFT)] == ALL
    done = shell("uninstall", "--dsn", fresh.dsn, "--confirm", name)
    assert (done.code, done.out.splitlines()[-1]) == (0, "Bilag is gone from this database.")
    gone = shell("uninstall", "--dsn", fresh.dsn, "--confirm", name)
    assert (gone.code, gone.err) == (1, "bilag: There is no Bilag in this database.\n")


def test_options_that_exclude_each_other_are_wrong_usage(shell: Shell) -> None:
    assert shell("uninstall", "--keep-data", "--secrets").code == 2


def test_roles_that_something_else_needs_stay_and_that_is_told(fresh: Database) -> None:
    migrated = fresh.server.create_database("needs_the_roles")
    try:
        migrate(migrated)
        notes = uninstall(fresh.dsn, Choice()).notes
        assert [note.split(" because ")[0] for note in notes] == [
            f'The role {role} stays: role "{role}" cannot be dropped' for role in ("bilag_observer", "bilag_worker")
        ]
    finally:
        fresh.server.drop_database("needs_the_roles")


def test_the_owner_of_a_database_uninstalls_without_being_a_superuser(project: str) -> None:
    migrate(project)
    uninstall(project, Choice(secrets=True))
    assert rows(project, LEFT) == []
    assert rows(project, "select count(*) from pg_proc where pronamespace = 'vault'::regnamespace") != [(0,)]
    assert rows(project, "select auth.role()") == [("theirs",)]
    assert migrate(project).verbs_applied


@pytest.fixture
def crony() -> Iterator[tuple[str, Connection]]:
    """A database in which pg_cron runs, and two jobs of ours."""
    with throw_away(ours=True, cron_database="bilag") as server:
        migrate(server.dsn("bilag"))
        with server.connect("bilag") as connection:
            yield server.dsn("bilag"), connection


def jobs(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute("select jobname from cron.job order by 1").fetchall()


@pytest.mark.parametrize("keep_data", [True, False])
def test_our_jobs_go_and_another_applications_stay(crony: tuple[str, Connection], keep_data: bool) -> None:
    dsn, connection = crony
    connection.execute("select cron.schedule('theirs', '0 0 1 1 *', 'select 1')")
    assert plan(dsn, Choice()).goes[:2] == (
        "the pg_cron job bilag-maintenance of postgres",
        "the pg_cron job bilag-tick of postgres",
    )
    uninstall(dsn, Choice(keep_data=keep_data))
    assert jobs(connection) == [("theirs",)]
    migrate(dsn)
    assert jobs(connection) == [("bilag-maintenance",), ("bilag-tick",), ("theirs",)]


def test_it_waits_for_no_open_transaction_longer_than_a_migration_does(fresh: Database) -> None:
    from worker.migrate import Patience

    with psycopg.connect(fresh.dsn) as person:
        person.execute("select count(*) from bilag.export_items")
        with pytest.raises(MigrationError, match="Others held locks"):
            uninstall(fresh.dsn, Choice(), patience=Patience(lock=0.2, total=0.5, pause=0.1))
    uninstall(fresh.dsn, Choice())
