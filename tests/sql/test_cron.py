"""pg_cron ticks where the server has it in this database; elsewhere the workers do."""

from __future__ import annotations

from dev.postgres import throw_away
from tests.fix_postgres import Database
from worker.migrate import migrate


def test_without_pg_cron_nothing_is_scheduled_and_migrate_succeeds(database: Database) -> None:
    assert database.value("select to_regclass('cron.job') is null")


def test_with_pg_cron_one_job_ticks_every_minute_however_often_migrate_runs() -> None:
    with throw_away(cron_database="bilag") as server, server.connect("bilag") as connection:
        for _ in range(2):
            migrate(server.dsn("bilag"))
        row = connection.execute("select to_regclass('cron.job') is not null").fetchone()
        if row == (True,):  # a server without the package has none
            jobs = connection.execute("select jobname, schedule, command, active from cron.job").fetchall()
            assert jobs == [("bilag-tick", "* * * * *", "select bilag_internal.tick()", True)]
