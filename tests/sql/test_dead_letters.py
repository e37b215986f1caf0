"""What was set aside, and the two things that a person can do with it."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused


def bury_garbage(bilag: Bilag, worker: FakeWorker) -> int:
    bilag.database.sql("""select pgmq.send('bilag_exports', '{"x": 1}')""")
    worker.claim()
    return int(bilag.database.value("select id from bilag.dead_letters"))


def test_a_letter_shows_the_message_its_reason_and_what_to_do(bilag: Bilag, worker: FakeWorker) -> None:
    bury_garbage(bilag, worker)
    letter = bilag.database.sql(
        "select queue, reason_code, reason, what_to_do, message, read_count from bilag.dead_letters"
    )
    assert letter == [
        (
            "bilag_exports", "message_means_nothing", "The message is not one that Bilag sends.",
            "Find who sends it; discard it.", {"x": 1}, 1,
        )
    ]  # fmt: skip


UNKNOWN = [
    "null", "[]", '"text"', "5", '{"kind": "frobnicate"}', '{"integration_id": 5}', '{"integration_id": "abc"}',
    '{"run_id": "00000000-0000-4000-8000-000000000000"}',
]  # fmt: skip


@pytest.mark.parametrize("queue", ["bilag_exports", "bilag_health_checks"])
def test_messages_of_unknown_kinds_are_set_aside_whole_and_hold_up_nothing(
    bilag: Bilag, org: Organisation, worker: FakeWorker, queue: str
) -> None:
    for message in UNKNOWN:
        bilag.database.sql("select pgmq.send(%s, %s::jsonb)", queue, message)
    org.claim("C-1")
    org.request()
    worker.work()
    for _ in UNKNOWN:
        bilag.database.sql("select bilag_internal.claim_health_checks(%s, 5, 60)", worker.id)
    assert org.states() == {"C-1": "exported"}
    letters = bilag.database.sql("select queue, reason_code, message::text from bilag.dead_letters order by id")
    assert letters == [(queue, "message_means_nothing", message) for message in UNKNOWN]
    alerts = bilag.database.sql("select kind, problem_key from bilag.alerts where resolved_at is null")
    assert alerts == [("dead_letter", queue)]
    for letter in bilag.database.sql("select id from bilag.dead_letters"):
        bilag.database.sql("select bilag.discard(%s, 'a test')", *letter)
    assert bilag.database.sql("select 1 from bilag.alerts where resolved_at is null") == []


def test_a_message_about_a_run_that_was_deleted_leads_to_nothing(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    bilag.database.sql("delete from bilag.export_runs where id = %s", org.request())
    assert bilag.database.value("select count(*) from pgmq.q_bilag_exports") == 1
    assert worker.claim() == []
    assert bilag.database.sql("select due_at, msg_id, lease_token from bilag.export_lanes") == [(None, None, None)]
    assert bilag.database.sql("select 1 from bilag.dead_letters") == []
    org.request()
    worker.work()
    assert org.states() == {"C-1": "exported"}


def test_a_run_that_a_worker_holds_is_not_deleted(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    run = org.request()
    job = worker.claim_one()
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        bilag.database.sql("delete from bilag.export_runs where id = %s", run)
    worker.settle(job)
    assert org.states() == {"C-1": "exported"}


def test_the_letter_of_a_run_that_was_deleted_since_can_only_be_discarded(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    run = org.request()
    bilag.database.sql(
        "select bilag_internal.bury(jsonb_build_object('queue', 'bilag_exports', 'message', '{}'::jsonb,"
        " 'runId', %s::text, 'reasonCode', 'too_many_deliveries', 'reasonParams', '{}'::jsonb))",
        str(run),
    )
    bilag.database.sql("delete from bilag.export_runs where id = %s", run)
    letter = bilag.database.value("select id from bilag.dead_letters")
    with refused("KB004", "does not exist any more"):
        bilag.database.sql("select bilag.redrive(%s)", letter)
    bilag.database.sql("select bilag.discard(%s, 'gone')", letter)
    assert bilag.database.sql("select 1 from bilag.dead_letters") == []


def test_what_means_nothing_cannot_be_done_again_and_stays(bilag: Bilag, worker: FakeWorker) -> None:
    letter = bury_garbage(bilag, worker)
    with refused("KB004", "means nothing"):
        bilag.database.sql("select bilag.redrive(%s)", letter)
    assert bilag.database.value("select count(*) from bilag.dead_letters") == 1


def test_a_discarded_letter_is_gone_and_kept_in_the_archive(bilag: Bilag, worker: FakeWorker) -> None:
    letter = bury_garbage(bilag, worker)
    bilag.database.sql("select bilag.discard(%s, 'a test')", letter)
    assert bilag.database.value("select count(*) from bilag.dead_letters") == 0
    assert bilag.database.value("select count(*) from pgmq.a_bilag_dead_letters") == 1
    with refused("KB002"):
        bilag.database.sql("select bilag.discard(%s, 'again')", letter)


def test_discarding_the_letter_of_a_run_is_audited(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    run = org.request()
    for _ in range(11):
        worker.claim()
        bilag.advance(seconds=61)
    letter = bilag.database.value("select id from bilag.dead_letters")
    bilag.database.sql("select bilag.discard(%s, 'known bug')", letter)
    rows = bilag.database.sql(
        "select run_id, note from bilag.bufdir_export_audit_log where action = 'dead_letter.discarded'"
    )
    assert rows == [(run, "known bug")]


def test_only_service_and_owner_touch_dead_letters(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    letter = bury_garbage(bilag, worker)
    for person in (org.member(), uuid4()):
        with bilag.database.as_user(person) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select bilag.discard(%s, 'mine')", [letter])
    with bilag.database.as_user(uuid4(), role="service_role") as connection:
        connection.execute("select bilag.discard(%s, 'service')", [letter])
