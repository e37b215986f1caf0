"""After a restore: what this database forgot may be booked all the same, and is looked up before it is sent."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker, failed
from tests.sql.refusals import refused


def alerts(bilag: Bilag) -> list[str]:
    return [kind for (kind,) in bilag.database.sql("select kind from bilag.open_alerts order by 1")]


def another_server(bilag: Bilag, worker: FakeWorker) -> None:
    """A restore: the same rows on a server with another identity."""
    bilag.advance(seconds=1)
    bilag.database.sql("update bilag.installation set system_identifier = 'the one before'")
    worker.tick()


def test_a_server_is_remembered_when_it_is_first_seen(database: Database, worker: FakeWorker) -> None:
    seen = database.value("select system_identifier from bilag.installation")
    assert seen == database.value("select system_identifier::text from pg_control_system()")
    assert database.sql("select kind from bilag.open_alerts") == []


@pytest.mark.parametrize(
    "column", ["system_identifier = 'another'", "timeline = 99", "database_oid = 1", "table_oid = 1"]
)
def test_another_server_timeline_database_or_table_is_noticed_and_told_once(
    bilag: Bilag, worker: FakeWorker, column: str
) -> None:
    bilag.database.connect().execute(f"update bilag.installation set {column}".encode())
    worker.tick()
    worker.tick()
    assert bilag.database.sql("select kind, count from bilag.open_alerts") == [("server_changed", 1)]
    assert bilag.database.value("select recover_before from bilag.installation") == NOON + timedelta(days=1)


def test_an_installation_that_never_wrote_its_tables_down_does_so_and_nothing_is_wrong(
    bilag: Bilag, worker: FakeWorker
) -> None:
    worker.tick()
    bilag.database.sql("update bilag.installation set table_oid = null")
    worker.tick()
    assert bilag.database.value("select table_oid = 'bilag.installation'::regclass from bilag.installation")
    assert alerts(bilag) == []


def test_a_restore_that_was_noticed_is_a_link_in_every_chain(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    worker.tick()
    another_server(bilag, worker)
    links = "select org_id, action, details ->> 'noticed' from bilag.bufdir_export_audit_log"
    assert bilag.database.sql(links) == [(org.id, "installation.recovered", "true")]
    assert bilag.database.value("select bilag.verify_audit(%s)", org.id) is None


def test_after_a_restore_a_pending_voucher_is_looked_up_before_it_is_sent(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.approve(300)
    org.request()
    worker.settle(worker.claim_one(), "exported", release=True)
    another_server(bilag, worker)
    job = worker.claim_one()
    assert (job["kind"], len(job["items"])) == ("find", 50)
    reasons = bilag.database.sql("select distinct reason_code from bilag.export_items where state = 'in_doubt'")
    assert reasons == [("recovered",)]


def test_after_a_restore_what_a_later_run_takes_of_before_is_looked_up_first(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("before")
    another_server(bilag, worker)
    org.request()
    look = worker.claim_one()
    assert look["kind"] == "find"
    worker.settle(look, "exported")
    assert org.states() == {"before": "exported"}


def test_after_a_restore_what_was_found_absent_is_sent(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    another_server(bilag, worker)
    worker.settle(worker.claim_one(), "absent")
    assert org.states() == {"C-1": "in_doubt"}, "absence counts only after its time, and that of a worker's last lease"
    bilag.advance(minutes=2)
    (job,) = worker.settle(worker.claim_one(), "absent")
    assert job["kind"] == "post"
    worker.settle(job)
    assert org.states() == {"C-1": "exported"}


def test_after_a_restore_an_attempt_that_the_backup_remembers_is_looked_up_too(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "unsent", failure=failed())
    another_server(bilag, worker)
    bilag.advance(minutes=10)
    assert worker.claim_one()["kind"] == "find"


@pytest.mark.parametrize(("days", "since"), [(3, "2026-02-26T11:00:01+00:00"), (10, "2026-03-02T11:00:00+00:00")])
def test_after_a_restore_the_look_up_goes_back_a_week_and_to_the_approval_at_the_least(
    bilag: Bilag, org: Organisation, worker: FakeWorker, days: int, since: str
) -> None:
    org.claim("C-1")
    bilag.advance(days=days)
    org.request()
    another_server(bilag, worker)
    look = worker.claim_one()
    assert (look["kind"], look["items"][0]["sentAt"]) == ("find", since)


def test_after_a_restore_no_voucher_number_is_given_again(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    worker.work()
    another_server(bilag, worker)
    bilag.advance(days=2)
    org.claim("C-2")
    org.request()
    worker.work()
    assert bilag.database.value("select max(voucher_number) from bilag.export_items") > 1000


def test_another_server_is_noticed_before_anything_is_handed_out(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    bilag.advance(seconds=1)
    bilag.database.sql("update bilag.installation set timeline = timeline + 1")
    jobs = worker.claim()
    assert alerts(bilag) == ["server_changed"]
    worker.tick()
    (look,) = jobs or worker.claim()
    assert look["kind"] == "find"


def test_another_server_is_noticed_before_the_next_batch(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.approve(300)
    org.request()
    job = worker.claim_one()
    bilag.advance(seconds=1)
    bilag.database.sql("update bilag.installation set database_oid = 1")
    assert worker.settle(job, "exported") == []
    assert alerts(bilag) == ["server_changed"]
    look = worker.claim_one()
    assert (look["kind"], len(look["items"])) == ("find", 50)


def test_after_a_restore_leases_of_before_are_over_and_what_they_sent_is_in_doubt(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    token = worker.claim_one()["token"]
    another_server(bilag, worker)
    assert worker.beat(token) == []
    assert org.states() == {"C-1": "in_doubt"}


def test_a_system_without_look_ups_is_sent_what_nobody_could_look_for(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    bilag.database.sql("update bilag.integration_types set finds = false")
    org.claim("C-1")
    org.request()
    another_server(bilag, worker)
    assert worker.claim_one()["kind"] == "post"


def test_for_a_day_after_a_restore_applications_may_register_what_was_lost_and_it_is_looked_up(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    another_server(bilag, worker)
    bilag.advance(hours=23)
    org.claim("registered again")
    org.request()
    assert worker.claim_one()["kind"] == "find"


def test_a_day_after_a_restore_claims_are_sent_at_once(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    another_server(bilag, worker)
    bilag.advance(hours=24)
    bilag.database.sql("alter table bilag.expense_claims alter created_at set default '2026-03-03 11:00:01+00'")
    org.claim("C-1")
    org.request()
    assert worker.claim_one()["kind"] == "post"


def test_an_operator_orders_the_look_after_a_restore_that_nobody_noticed(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.claim("draft", status="draft")
    org.request()
    bilag.advance(hours=1)
    assert bilag.database.value("select bilag_internal.recover(%s)", NOON - timedelta(days=30)) == 1
    look = worker.claim_one()
    assert (look["kind"], look["items"][0]["sentAt"]) == ("find", "2026-01-31T11:00:00+00:00")


def test_nobody_recovers_from_the_future(bilag: Bilag) -> None:
    with refused("KB001", "is in the future"):
        bilag.database.sql("select bilag_internal.recover(%s)", NOON + timedelta(hours=1))


def test_only_the_owner_orders_it(catalogue: Database) -> None:
    for role in ("authenticated", "service_role", "bilag_worker", "bilag_observer"):
        with (
            catalogue.as_user("00000000-0000-0000-0000-000000000001", role) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute("select bilag_internal.recover(now())")
