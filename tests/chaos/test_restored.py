"""A database that forgot: restored from a dump, or crashed before it wrote down what it had said."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from dev.fakes import XledgerFake
from dev.postgres import Cluster, throw_away
from tests.chaos.obstacles import WRITE
from tests.flow.installation import Installation, beside_thread
from tests.flow.stories import story
from tests.flow.tenant import Sturdy, Tenant
from worker.migrate import migrate

CLAIMS = 8


@story(own_server=True, hasty=True)
def test_a_restored_database_finds_what_it_forgot_before_it_sends_anything(
    here: Installation, erp: XledgerFake
) -> None:
    org = here.organisation(claims=CLAIMS)
    here.tick()
    dump = dumped(here)
    org.request()
    assert here.worker("--drain").ended() == 0
    restored_elsewhere(here, erp, dump, org)
    assert erp.calls[WRITE] == 1


@story(own_server=True, hasty=True)
def test_a_database_restored_from_an_old_dump_finds_what_was_booked_days_ago(
    here: Installation, erp: XledgerFake
) -> None:
    days_ago = datetime.now(UTC) - timedelta(days=3)
    org = here.organisation()
    here.database.sql("update bilag.integration_config set export_from = %s", days_ago - timedelta(days=1))
    for n in range(CLAIMS):
        org.claim(f"OLD-{n}", approved_at=days_ago)
    here.tick()
    dump = dumped(here)
    for clock in (erp.clock.set, here.database.set_clock):
        clock(days_ago + timedelta(hours=1))
    run = org.request()
    here.worker()
    here.live_on(run, org)
    erp.clock.set(None)
    restored_elsewhere(here, erp, dump, org)
    assert erp.calls[WRITE] == 1


@story(own_server=True, hasty=True)
def test_a_database_that_is_overwritten_by_its_own_dump_finds_what_it_forgot_without_being_told(
    here: Installation, erp: XledgerFake
) -> None:
    """Same server, same timeline, same name: nobody calls ``bilag recover``."""
    org = here.organisation(claims=CLAIMS)
    here.tick()
    dump = dumped(here)
    org.request()
    assert here.worker("--drain").ended() == 0
    run(here.server, "pg_restore", "--exit-on-error", "--clean", "--if-exists", "-d", here.database.dsn, str(dump))
    assert org.count("exported") == 0, "forgotten"
    org.request()
    here.worker()
    assert here.until_right().booked == CLAIMS
    assert erp.calls[WRITE] == 1
    assert here.database.sql("select kind from bilag.open_alerts") == [("server_changed",)]


@story(own_server=True, hasty=True)
def test_the_mark_survives_a_crash_though_the_role_does_not_wait_for_its_commits(
    here: Installation, erp: XledgerFake
) -> None:
    with psycopg.connect(here.server.dsn(), autocommit=True) as connection:
        connection.execute("alter role postgres set synchronous_commit = off")
        connection.execute("alter system set wal_writer_delay = '10s'")
        connection.execute("select pg_reload_conf()")
    org = here.organisation(claims=CLAIMS)
    held = erp.hold_next(on=WRITE)
    here.worker().said("worker.started")
    org.request()
    assert held.arrived.wait(120)
    here.restart("immediate")
    assert org.count("sending") + org.count("in_doubt") == CLAIMS, "what was sent was marked"
    held.release()
    assert here.until_right().booked == CLAIMS
    assert erp.calls[WRITE] == 1


def dumped(here: Installation) -> Path:
    """The database as it is now."""
    file = here.folder / "bilag.dump"
    run(here.server, "pg_dump", "-Fc", "-f", str(file), here.database.dsn)
    return file


def restored_elsewhere(here: Installation, erp: XledgerFake, dump: Path, org: Tenant) -> None:
    """Restore the dump into another server, ask for everything there, and count in the vendor's ledger."""
    with throw_away(ours=True) as elsewhere:
        migrate(elsewhere.create_database("roles_only"))
        database = Sturdy(elsewhere, elsewhere.create_database("restored"))
        run(elsewhere, "pg_restore", "--exit-on-error", "-d", database.dsn, str(dump))
        there = beside_thread(database, here.folder, erp)
        try:
            again = Tenant(database, "Stand-in", "Europe/Oslo")
            again.id, again.owner, again.token = org.id, org.owner, org.token
            there.tenants.append(again)
            there.give_credential(again)
            again.request()
            assert there.worker("--drain").ended() == 0
            verdict = there.verdict()
            assert (verdict.is_right, verdict.booked) == (True, CLAIMS), verdict
        finally:
            there.close()


def run(server: object, program: str, *arguments: str) -> None:
    assert isinstance(server, Cluster), "a dump needs the server's own programs"
    done = subprocess.run([server.binaries.path(program), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
