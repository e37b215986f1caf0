"""pg_cron ticks where the server has it in this database; elsewhere the workers do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from dev.postgres import throw_away
from tests.fix_postgres import Connection, Database
from worker.migrate import migrate


def test_without_pg_cron_nothing_is_scheduled_and_migrate_succeeds(database: Database) -> None:
    assert database.value("select to_regclass('cron.job') is null")


JOBS = [
    ("bilag-maintenance", "23 1 * * *", "select bilag_internal.maintain()", True),
    ("bilag-tick", "* * * * *", "select bilag_internal.tick()", True),
]
CRON_PATIENCE_SECONDS = 150.0
"""pg_cron starts what is due once a minute."""


@pytest.fixture(scope="module")
def crony() -> Iterator[Connection]:
    """A database in which pg_cron runs."""
    with throw_away(ours=True, cron_database="bilag") as server:
        migrate(server.dsn("bilag"))
        with server.connect("bilag") as connection:
            assert connection.execute("select to_regclass('cron.job') is not null").fetchone() == (True,), (
                "pg_cron is part of what `make test` installs"
            )
            yield connection


def jobs(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute("select jobname, schedule, command, active from cron.job order by jobname").fetchall()


def until_run(crony: Connection, *commands: str) -> None:
    ended = "select count(distinct command) from cron.job_run_details where status = 'succeeded' and command = any(%s)"
    deadline = time.monotonic() + CRON_PATIENCE_SECONDS
    while crony.execute(ended, (list(commands),)).fetchone() != (len(commands),):
        assert time.monotonic() < deadline, crony.execute("select * from cron.job_run_details").fetchall()
        time.sleep(0.5)


def test_pg_cron_itself_ticks_after_a_first_installation_and_sweeps(crony: Connection) -> None:
    tick, sweep = "select bilag_internal.tick()", "select bilag_internal.maintain()"
    until_run(crony, tick)
    crony.execute("select cron.schedule('bilag-maintenance', '* * * * *', %s)", (sweep,))
    until_run(crony, tick, sweep)
    assert crony.execute("select bool_and(swept_at is not null) from bilag.retention").fetchone() == (True,)
    assert crony.execute("select ticked_at is not null from bilag.installation").fetchone() == (True,)
    crony.execute("select bilag_internal.schedule_jobs()")


def test_two_jobs_are_scheduled_however_often_migrate_runs(crony: Connection) -> None:
    migrate(crony.info.dsn)
    assert jobs(crony) == JOBS


def test_the_history_of_our_own_jobs_goes_and_that_of_others_stays(crony: Connection) -> None:
    crony.execute(
        "insert into cron.job_run_details (jobid, runid, database, username, command, status, start_time, end_time)"
        " select 1, 1000000 + n, case n when 3 then 'elsewhere' else current_database() end, current_user,"
        " case n when 2 then 'select theirs()' else 'select bilag_internal.tick()' end, 'succeeded',"
        " now() - interval '8 days', case n when 4 then null else now() - interval '8 days' end"
        " from generate_series(1, 4) as n"
    )
    crony.execute("select bilag_internal.maintain()")
    left = crony.execute("select runid - 1000000 from cron.job_run_details where runid > 1000000 order by 1").fetchall()
    assert left == [(2,), (3,)]


def test_a_job_that_a_person_switched_off_stays_off_and_one_that_was_unscheduled_comes_back(crony: Connection) -> None:
    crony.execute("select cron.schedule('theirs', '0 0 1 1 *', 'select 1')")
    crony.execute("update cron.job set active = false where jobname = 'bilag-maintenance'")
    crony.execute("select cron.schedule('bilag-maintenance', '23 1 * * *', 'select bilag_internal.maintain()')")
    assert [active for name, _, _, active in jobs(crony) if name == "bilag-maintenance"] == [False]
    gone = crony.execute("select bilag_internal.unschedule()").fetchall()
    assert gone == [("bilag-maintenance",), ("bilag-tick",)]
    assert [name for name, *_ in jobs(crony)] == ["theirs"], "another application's"
