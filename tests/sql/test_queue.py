"""Losing, doubling or inventing a message changes nothing that matters."""

from __future__ import annotations

from typing import Any, LiteralString

from tests.fix_bilag import Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker
from tests.sql.sessions import two_sessions

SEND: LiteralString = "select pgmq.send('bilag_exports', %s::jsonb)"


def dead(database: Database) -> list[tuple[Any, ...]]:
    return database.sql("select reason_code, message from bilag.dead_letters")


def queued(database: Database) -> int:
    return int(database.value("select count(*) from pgmq.q_bilag_exports"))


def test_a_purged_queue_costs_a_tick_and_no_claim(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    bilag.database.sql("select pgmq.purge_queue('bilag_exports')")
    assert worker.claim() == []
    assert worker.tick()["woken"] == 1
    worker.work()
    assert org.states() == {"C-1": "exported"}


def test_a_queue_that_is_purged_in_the_middle_of_a_run_costs_nothing(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.approve(600)
    org.request()
    job = worker.claim_one()
    org.database.sql("select pgmq.purge_queue('bilag_exports')")
    worker.settle(job, release=True)
    org.database.sql("select pgmq.purge_queue('bilag_exports')")
    worker.tick()
    worker.work()
    assert list(org.states().values()) == ["exported"] * 600


def test_doubled_messages_are_one_job(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    ((message,),) = bilag.database.sql("select message::text from pgmq.q_bilag_exports")
    bilag.database.sql(SEND, message)
    bilag.database.sql(SEND, message)
    other = bilag.worker()
    jobs = worker.claim(1) + other.claim() + worker.claim()
    assert len(jobs) == 1
    worker.settle(jobs[0])
    assert (worker.claim(), queued(bilag.database)) == ([], 0)
    assert dead(bilag.database) == []
    assert bilag.database.value("select count(*) from bilag.export_items") == 1


def test_an_invented_message_of_an_idle_lane_does_nothing(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    bilag.database.sql(
        "select pgmq.send('bilag_exports', jsonb_build_object('integration_id', id)) from bilag.integration_config"
    )
    assert worker.claim() == []
    assert (queued(bilag.database), dead(bilag.database)) == (0, [])
    assert bilag.database.value("select deliveries from bilag.export_lanes") == 0


GARBAGE = [
    '{"x": 1}', "17", "null", "[]", '"hello"', "{}", '{"integration_id": 5}', '{"integration_id": null}',
    '{"integration_id": "1; drop table x"}', '{"integration_id": {"a": [1]}}', '[{"integration_id": "x"}]',
]  # fmt: skip


def test_garbage_goes_to_the_dead_letters_with_a_reason_and_stops_nothing(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    for message in GARBAGE:
        bilag.database.sql(SEND, message)
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim(20)[0])
    assert org.states() == {"C-1": "exported"}
    assert [reason for reason, _ in dead(bilag.database)] == ["message_means_nothing"] * len(GARBAGE)
    assert queued(bilag.database) == 0
    assert bilag.database.sql("select kind, count from bilag.open_alerts") == [("dead_letter", 1)]


def test_garbage_in_front_costs_one_round(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    bilag.database.sql(SEND, '{"x": 1}')
    org.claim("C-1")
    org.request()
    assert worker.claim(1) == []
    assert len(worker.claim(1)) == 1


def test_a_message_for_a_lane_that_does_not_exist_is_set_aside(bilag: Bilag, worker: FakeWorker) -> None:
    message = {"integration_id": "00000000-0000-0000-0000-000000000000"}
    bilag.database.sql(
        """select pgmq.send('bilag_exports', '{"integration_id": "00000000-0000-0000-0000-000000000000"}')"""
    )
    worker.claim()
    assert dead(bilag.database) == [("lane_unknown", message)]


def test_the_hint_of_a_lane_that_somebody_holds_keeps_nobody_behind_it(bilag: Bilag, worker: FakeWorker) -> None:
    held, behind = bilag.organisation("Held"), bilag.organisation("Behind")
    for org in (held, behind):
        org.claim("C-1")
        org.request()
    with two_sessions(bilag.database) as (person, _):
        person.run("select from bilag.export_lanes where org_id = %s for update", held.id)
        assert worker.claim(slots=1) == []
        (job,) = worker.claim(slots=1)
        assert job["orgId"] == str(behind.id)
        person.commit()
    bilag.database.sql("update pgmq.q_bilag_exports set vt = clock_timestamp()")  # five seconds later
    (job,) = worker.claim(slots=1)
    assert job["orgId"] == str(held.id)


def test_a_hint_that_led_to_nothing_yet_is_sent_again_when_there_is_work(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    org.database.sql("select bilag.pause_integration(%s, 'xledger', 'stocktaking')", org.id)
    assert worker.claim() == []
    assert queued(org.database) == 0
    org.database.sql("select bilag.resume_integration(%s, 'xledger')", org.id)
    assert queued(org.database) == 1
    assert worker.claim_one()["kind"] == "post"


def test_lanes_with_a_hint_leave_the_other_hands_to_those_without(bilag: Bilag, worker: FakeWorker) -> None:
    waiting, told = bilag.organisation("Waiting"), bilag.organisation("Told")
    waiting.claim("C-1")
    waiting.request()
    worker.settle(worker.claim_one(), "unknown")  # it is looked up later, of which the table alone tells
    told.claim("C-1")
    told.request()
    bilag.advance(minutes=1)
    assert queued(bilag.database) == 1
    jobs = worker.claim(slots=2)
    assert {(job["orgId"], job["kind"]) for job in jobs} == {(str(waiting.id), "find"), (str(told.id), "post")}


def test_the_queues_are_there_and_empty(catalogue: Database) -> None:
    for queue in ("bilag_exports", "bilag_health_checks", "bilag_dead_letters", "bilag_webhooks"):
        assert catalogue.value("select queue_length from pgmq.metrics(%s)", queue) == 0


def test_messages_carry_ids_only(org: Organisation) -> None:
    org.claim("C-1", claimant_name="Kari Nordmann")
    org.request()
    ((message,),) = org.database.sql("select message from pgmq.q_bilag_exports")
    assert list(message) == ["integration_id"]


def test_a_request_that_is_rolled_back_sends_nothing(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    connection = bilag.database.connect(autocommit=False)
    connection.execute("select bilag.request_export(%s, 'xledger')", [org.id])
    connection.rollback()
    assert queued(bilag.database) == 0
    assert worker.claim() == []


def test_no_statement_but_this_rooms_names_the_queue_extension(catalogue: Database) -> None:
    naming = catalogue.sql(
        "select p.proname from pg_proc p where p.pronamespace::regnamespace::text in ('bilag', 'bilag_internal')"
        " and p.prosrc ~ 'pgmq[.]' order by 1"
    )
    room = {"bury", "dead_letters", "drop_hints", "lost_hints", "put_off_hints", "queue_lengths", "read_hints"}
    health = {"send_health_hints", "read_health_hints", "drop_health_hints", "lost_health_hints"}
    webhooks = {"drop_webhooks", "purge_webhooks", "read_webhooks", "send_webhooks", "webhooks_queued"}
    assert {name for (name,) in naming} == room | health | webhooks | {
        "send_hints", "take_dead_letter", "drop_queues", "sweep_dead_letters", "sweep_dead_letter_archive",
        "sweep_webhooks",
    }  # fmt: skip
