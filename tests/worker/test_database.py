"""Every statement of the worker against the real functions, as the role that may call them and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.fix_hands import Opened
from tests.fix_postgres import Database as Installed
from worker import database as page
from worker.database import Document, Refusal, conninfo
from worker.reports import Tally
from worker.version import CONTRACT

pytestmark = pytest.mark.anyio

WAYS = ("a word", Document('"a document"'))
"""What goes as one message, and what is bound in a transaction of three."""


async def test_a_job_goes_round_from_hello_to_settled(org: Organisation, opened: Opened) -> None:
    run = (org.claim("C-1"), org.request())[1]
    worker = await opened(org.database.dsn)
    (job,) = await worker.claim(10, 60, 150)
    assert (job["kind"], len(job["items"])) == ("post", 1)
    token = UUID(job["token"])
    assert await worker.beat([token, uuid4()], 60, 1, within=5) == {token}
    assert (await worker.work_left())["inFlight"] == 1
    tally = Tally(job)
    tally.settle(job["items"][0]["id"], "exported", external_id="7")
    assert await worker.settle([tally.report(release=False)]) == []
    assert org.status(run)["status"] == "succeeded"
    assert (await worker.work_left())["inFlight"] == 0


async def test_a_report_told_twice_changes_nothing(org: Organisation, opened: Opened) -> None:
    org.claim("C-1")
    org.request()
    worker = await opened(org.database.dsn)
    (job,) = await worker.claim(10, 60, 150)
    tally = Tally(job)
    tally.settle(job["items"][0]["id"], "exported")
    for _ in range(2):
        await worker.settle([tally.report(release=False)])
    assert org.states() == {"C-1": "exported"}
    assert org.database.value("select count(*) from bilag.alerts") == 0


async def test_what_jsonb_refuses_does_not_cost_the_outcome(org: Organisation, opened: Opened) -> None:
    org.claim("C-1")
    org.request()
    worker = await opened(org.database.dsn)
    (job,) = await worker.claim(10, 60, 150)
    tally = Tally(job)
    params = {"code": "\ud800", "echo": ["\x00"]}
    tally.settle(
        job["items"][0]["id"], "rejected", reason_code="account_unknown", reason_params=params, message="a\x00b"
    )
    await worker.settle([tally.report(release=False)])
    assert org.states() == {"C-1": "rejected"}


async def test_attempt_rows_are_written(org: Organisation, opened: Opened) -> None:
    worker = await opened(org.database.dsn)
    row = {
        "correlation_id": str(uuid4()),
        "org_id": str(org.id),
        "integration_type": "xledger",
        "run_id": None,
        "adapter_name": "xledger",
        "operation": "post",
        "attempt_number": 2,
        "total_attempts": None,
        "error_class": "transient",
        "http_status": 503,
        "error_message": "down",
        "duration_ms": 12,
        "timestamp": "2026-03-02T11:00:00+00:00",
    }
    await worker.log_attempts([row, {**row, "attempt_number": 3, "total_attempts": 3, "error_class": None}])
    assert org.database.sql(
        "select attempt_number, total_attempts, error_class, http_status from bilag.integration_run_logs order by id"
    ) == [(2, None, "transient", 503), (3, 3, None, 503)]


async def test_another_contract_is_refused_and_both_are_named(database: Installed, opened: Opened) -> None:
    worker = await opened(database.dsn, greet=False)
    with pytest.raises(Refusal, match=r"contract 99.*contract 1") as error:
        await worker.hello("here", 1, "0", 99, "development")
    assert error.value.sqlstate == "KB010"


async def test_another_environment_is_refused_with_a_hint(database: Installed, opened: Opened) -> None:
    worker = await opened(database.dsn, greet=False)
    with pytest.raises(Refusal, match="production") as error:
        await worker.hello("here", 1, "0", CONTRACT, "production")
    assert (error.value.sqlstate, bool(error.value.hint)) == ("KB011", True)


async def test_a_worker_that_said_no_hello_gets_nothing(database: Installed, opened: Opened) -> None:
    worker = await opened(database.dsn, greet=False)
    with pytest.raises(Refusal) as error:
        await worker.claim(1, 60, 150)
    assert error.value.sqlstate == "KB012"


async def test_a_tick_may_be_made_by_a_worker(database: Installed, opened: Opened) -> None:
    worker = await opened(database.dsn)
    await worker.tick()
    said = await worker.hello("here", 1, "0", CONTRACT, "development")
    assert said["tickAge"] < 60


async def test_a_member_of_the_worker_role_works_as_that_role_and_reads_no_table(
    org: Organisation, opened: Opened, login: Callable[..., str]
) -> None:
    worker = await opened(login("bilag_worker"))
    assert await worker.claim(1, 60, 150) == []
    with pytest.raises(Refusal, match="permission denied"):
        await worker._call("select count(*) from bilag.export_items", ())


async def test_a_login_that_is_no_member_is_refused(opened: Opened, login: Callable[..., str]) -> None:
    worker = await opened(login(), greet=False)
    with pytest.raises(Refusal, match="permission denied"):
        await worker.hello("here", 1, "0", CONTRACT, "development")


async def test_nothing_stays_in_the_session_so_a_transaction_pooler_works(bilag: Bilag, opened: Opened) -> None:
    worker = await opened(bilag.database.dsn)
    async with worker._sessions.one("") as connection:
        cursor = await connection.execute("select current_user, current_setting('statement_timeout')")
        (row,) = await cursor.fetchall()
        prepared = await (await connection.execute("select count(*) from pg_prepared_statements")).fetchall()
    assert row[0] != "bilag_worker"
    assert row[1] == "0"
    assert prepared == [(0,)]


async def test_nothing_is_called_when_acting_as_the_worker_failed(database: Installed, opened: Opened) -> None:
    """A sequence forgets no number, whatever becomes of the transaction."""
    database.sql("create sequence public.calls")
    worker = await opened(database.dsn)
    worker._act = "select 1 / 0"
    for word in WAYS:
        with pytest.raises(Refusal, match="division by zero"):
            await worker._call("select nextval('public.calls'), %s::text", (word,))
    assert database.value("select is_called from public.calls") is False


async def test_every_call_is_made_as_the_worker_and_within_its_time(database: Installed, opened: Opened) -> None:
    worker = await opened(database.dsn)
    asked = "select format('%%s %%s', current_user, current_setting('statement_timeout')), %s::text"
    for word in WAYS:
        assert await worker._call(asked, (word,), within=9) == ["bilag_worker 9s"]


async def test_a_call_is_undone_as_a_whole_when_it_fails(database: Installed, opened: Opened) -> None:
    database.sql("create table public.kept (n integer)")
    database.sql(
        "create function public.keep(n integer) returns integer"
        " language sql as 'insert into kept values (n) returning 1 / n'"
    )
    database.sql("grant all on public.kept to bilag_worker")
    worker = await opened(database.dsn)
    for word in WAYS:
        with pytest.raises(Refusal, match="division by zero"):
            await worker._call("select public.keep(%s), %s::text", (0, word))
        assert await worker._call("select public.keep(%s), %s::text", (1, word)) == [1]
    assert database.sql("select n from public.kept") == [(1,), (1,)]


async def test_a_refusal_costs_no_session(database: Installed, opened: Opened) -> None:
    worker = await opened(database.dsn)
    asked = "select pg_backend_pid() / %s, %s::text"
    (before,) = await worker._call(asked, (1, WAYS[0]))
    for word in WAYS:
        with pytest.raises(Refusal, match="division by zero"):
            await worker._call(asked, (0, word))
        assert await worker._call(asked, (1, word)) == [before]


@pytest.mark.parametrize("awkward", ["it's", 'a "name"', "back\\slash'", "%s %% {}", "a;b -- c", "æøå €"])
async def test_what_is_sent_arrives_as_it_is(database: Installed, opened: Opened, awkward: str) -> None:
    worker = await opened(database.dsn, greet=False)
    await worker.hello(awkward, 1, "0", CONTRACT, "development")
    assert database.value("select host from bilag.worker_heartbeats") == awkward
    assert await worker._call("select %s::text", (Document(awkward),)) == [awkward]


async def test_a_document_is_no_part_of_the_text_that_the_server_logs(database: Installed, opened: Opened) -> None:
    worker = await opened(database.dsn, greet=False)
    marker = f"only-in-the-report-{uuid4().hex}"
    asked = "select position(%s in current_query()) > 0"
    assert await worker._call(asked, (page._jsonb([marker]),)) == [False]
    assert await worker._call(asked, (marker,)) == [True]


def test_what_is_no_dsn_is_refused_without_repeating_it() -> None:
    with pytest.raises(Refusal) as error:
        conninfo("postgresql://user:hunter2@host:notaport:3/db?x", "test")
    assert "hunter2" not in str(error.value)


def test_the_dsn_may_set_its_own_timeouts() -> None:
    made = psycopg.conninfo.conninfo_to_dict(conninfo("postgresql://h/d?connect_timeout=2", "bilag worker"))
    assert (str(made["connect_timeout"]), made["application_name"]) == ("2", "bilag worker")
    assert int(str(made["tcp_user_timeout"])) > 0


def test_every_statement_calls_one_function_of_the_machinery_and_no_table() -> None:
    statements = {name: value for name, value in vars(page).items() if name.isupper() and isinstance(value, str)}
    sent = {name: text for name, text in statements.items() if text.startswith("select")}
    assert len(sent) >= 10
    for name, text in sent.items():
        assert text.count("bilag_internal.") == 1, name
        assert "bilag." not in text
