"""What somebody tries who may send SQL of their own as ``authenticated``: none of it shows or moves another's row.

Worse than anything that PostgREST lets through; and what Postgres itself tells everybody is named in docs/security.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.fix_postgres import Connection, as_user
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused

SECRET = "TOP-SECRET-7"


@pytest.fixture
def theirs(bilag: Bilag, worker: FakeWorker) -> Organisation:
    """Another's organisation, with a claim that nobody of ours may hear of."""
    org = bilag.organisation("Theirs")
    org.claim(SECRET, claimant_name=SECRET, documentation_url=SECRET)
    org.request()
    worker.work()
    bilag.database.sql("select bilag_internal.raise_alert('run_failed', 'a', %s, 'xledger', %s)", org.id, SECRET)
    return org


@pytest.fixture
def ours(bilag: Bilag, theirs: Organisation, worker: FakeWorker) -> Organisation:
    org = bilag.organisation("Ours")
    org.claim("ours-1")
    org.request()
    worker.work()
    return org


@pytest.fixture
def attacker(bilag: Bilag, ours: Organisation) -> Iterator[Connection]:
    """A finance_admin of ours, in a session that keeps what they made."""
    person, connection = ours.member(), bilag.database.connect()
    connection.execute("select 1")
    with as_user(connection, person) as session:
        yield session


@contextmanager
def denied(connection: Connection, match: str | None = None) -> Iterator[None]:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match=match), connection.transaction():
        yield


def everything_seen(connection: Connection) -> str:
    """All that the caller can select from the face, as one text."""
    names = connection.execute(
        "select c.relname from pg_catalog.pg_class c where c.relnamespace = 'bilag'::regnamespace"
        " and c.relkind in ('r', 'v') and pg_catalog.has_table_privilege(c.oid, 'select') order by 1"
    ).fetchall()
    assert len(names) > 20
    return "".join(
        str(connection.execute(f"select pg_catalog.string_agg(t::text, '|') from bilag.{name} t".encode()).fetchone())
        for (name,) in names
    )


def test_temporary_tables_stand_for_nothing_of_ours(
    bilag: Bilag, ours: Organisation, theirs: Organisation, attacker: Connection
) -> None:
    person = attacker.execute("select auth.uid()").fetchone()
    assert person is not None
    tables = attacker.execute(
        "select relname from pg_class where relnamespace = 'bilag'::regnamespace and relkind = 'r'"
    ).fetchall()
    for (name,) in tables:
        attacker.execute(f"create temporary table {name} as select * from bilag.{name} with no data".encode()
                         if name not in ("export_lanes", "installation", "retry_schedule", "worker_heartbeats")
                         else f"create temporary table {name} (id uuid)".encode())  # fmt: skip
    attacker.execute("insert into organization_members values (%s, %s, 'finance_admin', now())", [theirs.id, person[0]])
    for shadow in ("pg_class", "pg_namespace", "pg_authid", "pg_proc"):
        attacker.execute(f"create temporary table {shadow} (oid oid, nspname name, nspowner oid)".encode())
    attacker.execute("create temporary view memberships as select %s::uuid as org_id, 'finance_admin' as role".replace(
        "%s", f"'{theirs.id}'").encode())  # fmt: skip
    attacker.execute("set search_path = pg_temp, bilag, pg_catalog")
    assert SECRET not in everything_seen(attacker)
    with refused("KB003"), attacker.transaction():
        attacker.execute("select bilag.request_export(%s, 'xledger')", [theirs.id])
    attacker.execute("select bilag.request_export(%s, 'xledger')", [ours.id])
    assert attacker.execute("select count(*) from bilag.export_runs").fetchone() == (2,)


HOSTILE_SCHEMA = """
    create schema evil;
    create function evil.yes(uuid, uuid) returns boolean language sql immutable as 'select true';
    create function evil.no(uuid, uuid) returns boolean language sql immutable as 'select false';
    create function evil.yes(text, text) returns boolean language sql immutable as 'select true';
    create operator evil.= (leftarg = uuid, rightarg = uuid, function = evil.yes);
    create operator evil.<> (leftarg = uuid, rightarg = uuid, function = evil.no);
    create operator evil.= (leftarg = text, rightarg = text, function = evil.yes);
    create function evil.current_setting(text, boolean) returns text language sql immutable as $$select 'postgres'$$;
    create function evil.pg_has_role(name, name, text) returns boolean language sql immutable as 'select true';
    create function evil.now() returns timestamptz language sql immutable as $$select 'infinity'::timestamptz$$;
    create function evil.uid() returns uuid language sql immutable as 'select null::uuid';
    create function evil.count(anyelement) returns bigint language sql immutable as 'select 99::bigint';
    create function evil.format(text, text) returns text language sql immutable as $$select 'drop'$$;
    create type evil.uuid as (x text);
    create table evil.organization_members as table bilag.organization_members;
    grant usage on schema evil to authenticated;
    grant all on all tables in schema evil to authenticated;
"""


def test_operators_functions_and_types_of_the_callers_path_are_not_ours(
    bilag: Bilag, ours: Organisation, theirs: Organisation
) -> None:
    """Also in a session that has planned nothing of ours before: a plan is kept with the path that it was made with."""
    bilag.connection.execute(HOSTILE_SCHEMA.encode())
    person = ours.member()
    with bilag.database.as_user(person) as connection:
        connection.execute("set local search_path = evil, pg_catalog, bilag")
        with refused("KB003"), connection.transaction():
            connection.execute("select bilag.request_export(%s::pg_catalog.uuid, 'xledger')", [theirs.id])
        with refused("KB003"), connection.transaction():
            connection.execute("select bilag.explain_claim(%s::pg_catalog.uuid, %s)", [theirs.id, SECRET])
        connection.execute("select bilag.preview_export(%s::pg_catalog.uuid, 'xledger')", [ours.id])
        connection.execute("select bilag.pause_integration(%s::pg_catalog.uuid, 'xledger', 'x')", [ours.id])
        connection.execute("select bilag.request_export(%s::pg_catalog.uuid, 'xledger')", [ours.id])
        assert SECRET not in everything_seen(connection)
    paused = bilag.database.sql("select org_id from bilag.integration_config where paused_at is not null")
    assert paused == [(ours.id,)]
    assert bilag.database.value("select count(*) from bilag.export_runs where org_id = %s", theirs.id) == 1


def test_nobody_takes_another_role_than_their_login_has(bilag: Bilag, ours: Organisation, theirs: Organisation) -> None:
    login = f"app_{uuid4().hex[:8]}"
    bilag.connection.execute(f"create role {login} login noinherit in role authenticated, anon".encode())
    try:
        connection = bilag.database.connect()
        connection.execute(f"set session authorization {login}".encode())
        for role in ("service_role", "bilag_worker", "bilag_observer", "postgres", "pg_read_all_data"):
            for statement in (f"set role {role}", f"select set_config('role', '{role}', false)"):
                with denied(connection):
                    connection.execute(statement.encode())
        connection.execute("set role authenticated")
        for trick in ("reset role", "set role none"):
            with connection.transaction(force_rollback=True):
                connection.execute(trick.encode())
                with denied(connection):
                    connection.execute("select * from bilag.expense_claims")
        with refused("KB003"), connection.transaction():
            connection.execute("select bilag.request_export(%s, 'xledger')", [theirs.id])
        connection.close()
    finally:
        bilag.connection.execute(f"drop role {login}".encode())


LEAK = """
    create function pg_temp.leak(anyelement) returns boolean language plpgsql cost 0.0000001 as
    $$ begin raise notice 'leaked %', $1::text; return true; end $$
"""


def test_a_leaky_function_in_a_where_clause_is_handed_no_row_of_another(
    theirs: Organisation, attacker: Connection
) -> None:
    heard: list[str] = []
    attacker.add_notice_handler(lambda notice: heard.append(notice.message_primary or ""))
    attacker.execute(LEAK)
    for table, column in {
        "expense_claims": "claim_number", "expense_claim_lines": "claim_id", "export_items": "voucher",
        "export_lines": "description", "claim_exports": "claim_number", "overview": "org_id", "stuck": "what",
        "runs_in_progress": "run_id", "open_alerts": "message", "attempts": "error_message", "alerts": "message",
        "integration_config": "settings", "export_runs": "id", "bufdir_export_audit_log": "details",
        "organizations": "name", "organization_members": "user_id",
    }.items():  # fmt: skip
        attacker.execute(f"select 1 from bilag.{table} t where pg_temp.leak(t.{column})".encode())
    assert any("ours-1" in text for text in heard), "the function does hear its own rows"
    said = " ".join(heard)
    for foreign in (SECRET, str(theirs.id), "Theirs"):
        assert foreign not in said
    told = attacker.execute("select org_id, count(*) from bilag.export_runs group by 1").fetchall()
    assert len(told) == 1


def test_an_error_of_a_condition_tells_nothing_of_anothers_row(attacker: Connection) -> None:
    for probe in (
        f"select 1 / (case when claim_number = '{SECRET}' then 0 else 1 end) from bilag.expense_claims",
        f"select claim_number::integer from bilag.claim_exports where claim_number = '{SECRET}'",
        "select name::integer from bilag.organizations where name = 'Theirs'",
    ):
        attacker.execute(probe.encode())


def test_explain_shows_no_value_of_another(bilag: Bilag, theirs: Organisation, attacker: Connection) -> None:
    for query in (
        "select * from bilag.expense_claims",
        "select * from bilag.claim_exports",
        "select * from bilag.overview",
    ):
        plan = attacker.execute(f"explain (analyze, verbose, settings, timing off) {query}".encode()).fetchall()
        text = "\n".join(line for (line,) in plan)
        for foreign in (SECRET, str(theirs.id), "Theirs"):
            assert foreign not in text


def test_statistics_and_sequences_say_nothing(bilag: Bilag, attacker: Connection) -> None:
    bilag.connection.execute("analyze")
    shown = attacker.execute(
        "select schemaname, tablename, attname from pg_stats where schemaname in ('bilag', 'bilag_internal', 'vault')"
    ).fetchall()
    assert shown == []
    assert bilag.database.value("select count(*) > 0 from pg_stats where schemaname = 'bilag'")
    for query in ("select * from pg_statistic", "select * from pg_authid", "select pg_read_file('PG_VERSION')"):
        with denied(attacker):
            attacker.execute(query.encode())
    sequences = "select last_value from pg_sequences where schemaname in ('bilag', 'bilag_internal')"
    assert {value for (value,) in attacker.execute(sequences.encode()).fetchall()} <= {None}


def test_the_machinery_cannot_be_named_by_any_way(attacker: Connection, theirs: Organisation) -> None:
    for attempt in (
        "select bilag_internal.run_progress(%s)",
        "select * from query_to_xml($q$select bilag_internal.my_org_ids()$q$, true, true, '') where %s is not null",
        "select 'bilag_internal.my_org_ids'::regproc, %s",
        "create view pg_temp.f as select total from bilag_internal.run_progress('%s')",
        "create aggregate pg_temp.a (uuid) (sfunc = bilag_internal.concerns_caller, stype = boolean) /* %s */",
        "select * from bilag_internal.clock where %s is not null",
        "insert into bilag_internal.anonymizing values (%s, '1')",
    ):
        with denied(attacker, "bilag_internal"):
            attacker.execute(
                attempt.replace("%s", f"'{theirs.id}'" if "'%s'" not in attempt else str(theirs.id)).encode()
            )


def test_nothing_is_made_hung_or_read_beside_the_tables(attacker: Connection) -> None:
    for attempt in (
        "create table bilag.mine (x text)",
        "create function bilag.mine() returns int language sql as 'select 1'",
        "create or replace function bilag_hooks.memberships() returns table (org_id uuid, role text) return null",
        "create trigger mine before insert on bilag.expense_claims execute function tsvector_update_trigger()",
        "create policy mine on bilag.expense_claims using (true)",
        "create rule mine as on insert to bilag.expense_claims do instead nothing",
        "create temporary table mine () inherits (bilag.expense_claims)",
        "alter table bilag.expense_claims disable row level security",
        "alter function bilag_hooks.memberships() set search_path = evil",
        "truncate bilag.expense_claims",
        "copy bilag.expense_claims to '/tmp/claims'",
        "copy (select 1) to program 'true'",
        "select lo_import('/etc/passwd')",
        "select pgmq.send('bilag_exports', '{}')",
        "select * from vault.decrypted_secrets",
        "comment on table bilag.expense_claims is 'x'",
    ):
        with denied(attacker):
            attacker.execute(attempt.encode())


def test_row_security_cannot_be_turned_off(attacker: Connection) -> None:
    attacker.execute("set local row_security = off")
    with denied(attacker, "row-level security"):
        attacker.execute("select * from bilag.expense_claims")


def test_copy_gives_no_more_than_select(attacker: Connection) -> None:
    with attacker.cursor().copy("copy bilag.expense_claims to stdout") as out:
        text = b"".join(bytes(piece) for piece in out).decode()
    assert "ours-1" in text
    assert SECRET not in text


def test_a_prepared_statement_asks_anew_who_is_calling(bilag: Bilag, ours: Organisation, theirs: Organisation) -> None:
    """A pooler hands one session, and the plans in it, to one person after the other."""
    connection = bilag.database.connect()
    connection.execute("prepare mine as select distinct org_id from bilag.export_runs")
    connection.execute("set plan_cache_mode = force_generic_plan")

    def seen(person: UUID, role: str = "authenticated") -> set[UUID]:
        with as_user(connection, person, role) as session:
            return {org for (org,) in session.execute("execute mine").fetchall()}

    for _ in range(3):
        assert seen(ours.member()) == {ours.id}
        assert seen(theirs.member()) == {theirs.id}
        assert seen(uuid4()) == set()
        assert seen(uuid4(), "service_role") == {ours.id, theirs.id}


def test_what_a_transaction_claimed_is_over_with_it(bilag: Bilag, ours: Organisation) -> None:
    """As PostgREST sets it: for the transaction. The next one in the same session is nobody."""
    connection = bilag.database.connect()
    with as_user(connection, ours.member()) as session:
        assert session.execute("select count(*) > 0 from bilag.export_runs").fetchone() == (True,)
    with connection.transaction():
        connection.execute("set local role authenticated")
        assert connection.execute("select count(*) from bilag.export_runs").fetchone() == (0,)
