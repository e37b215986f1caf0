"""A lane is the truth, a message a hint: no wake-up is lost between two sessions, in whatever order they step."""

from __future__ import annotations

from typing import Any, LiteralString

import pytest
from psycopg.types.json import Jsonb

from tests.fix_bilag import NOON, Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker, report
from tests.sql.sessions import two_sessions

SETTLE: LiteralString = "select bilag_internal.settle_exports(%s, %s)"
ASKING: dict[str, LiteralString] = {
    "by function": "select bilag.request_export(%s, 'xledger')",
    "by insert": "insert into bilag.export_runs (org_id, integration_type) values (%s, 'xledger')",
}


def messages(database: Database) -> list[Any]:
    return [message for (message,) in database.sql("select message from pgmq.q_bilag_exports order by msg_id")]


@pytest.mark.parametrize("ask", ASKING)
def test_a_request_that_comes_while_the_last_batch_is_settled_waits_and_wakes_the_lane(
    database: Database, org: Organisation, worker: FakeWorker, ask: str
) -> None:
    org.claim("C-1")
    org.request()
    told = Jsonb([report(worker.claim_one())])
    with two_sessions(database) as (settling, asking):
        assert settling.run(SETTLE, worker.id, told) == [], "nothing is next yet"
        request = asking.start(ASKING[ask], org.id)
        assert asking.is_blocked(request), "the lane is locked, so nobody sees half of it"
        settling.commit()
        request.result(20)
        asking.commit()
    org.claim("C-2", approved_at=NOON)
    assert len(messages(database)) == 1
    worker.work()
    assert org.states() == {"C-1": "exported", "C-2": "exported"}


@pytest.mark.parametrize("ask", ASKING)
def test_a_batch_that_is_settled_while_a_request_is_being_made_is_told_again_and_finds_it(
    database: Database, org: Organisation, worker: FakeWorker, ask: str
) -> None:
    org.claim("C-1")
    org.request()
    job = worker.claim_one()
    told = Jsonb([report(job)])
    org.claim("C-2")
    with two_sessions(database) as (asking, settling):
        asking.run(ASKING[ask], org.id)
        settled = settling.start(SETTLE, worker.id, told)
        assert not settling.is_blocked(settled), "an open transaction keeps no worker waiting"
        assert settled.result(20) == [({"kind": "later", "lane": job["lane"], "token": job["token"]},)]
        settling.commit()
        assert org.states() == {"C-1": "sending"}, "nothing is settled, and nothing is lost"
        asking.commit()
    following = worker.settle(job)
    assert len(following) + len(messages(database)) == 1, "a job, or the hint of one"
    for next_job in following:
        worker.settle(next_job)
    worker.work()
    assert org.states() == {"C-1": "exported", "C-2": "exported"}


def test_a_lane_that_somebody_holds_delays_no_other_lanes_outcome(
    bilag: Bilag, database: Database, org: Organisation, worker: FakeWorker
) -> None:
    other = bilag.organisation("Other")
    for each in (org, other):
        each.claim("C-1")
        each.request()
    jobs = worker.claim()
    with two_sessions(database) as (person, settling):
        person.run("select 1 from bilag.export_lanes where org_id = %s for update", org.id)
        settling.run(SETTLE, worker.id, Jsonb([report(job) for job in jobs]))
        settling.commit()
    assert (org.states(), other.states()) == ({"C-1": "sending"}, {"C-1": "exported"})


def test_one_lane_has_at_most_one_message(org: Organisation) -> None:
    for n in range(5):
        org.request(key=str(n))
    ids = org.database.sql("select id::text from bilag.integration_config")
    assert messages(org.database) == [{"integration_id": ids[0][0]}]


def test_a_lane_in_a_workers_hands_gets_no_message(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    job = worker.claim_one()
    org.request(key="meanwhile")
    assert org.database.value("select count(*) from pgmq.q_bilag_exports") == 0
    worker.settle(job, release=True)
    assert org.database.value("select count(*) from pgmq.q_bilag_exports") == 1


def test_runs_of_one_lane_follow_each_other(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    runs = []
    for n in range(3):
        org.claim(f"C-{n}")
        runs.append(str(org.request(key=str(n))))
        bilag.advance(seconds=1)
    done = [job["runId"] for job in worker.work()]
    assert done == runs


def test_a_lane_waits_for_the_earlier_of_its_run_and_its_looks(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "accepted")
    assert bilag.database.value("select due_at - %s from bilag.export_lanes", NOON).total_seconds() == 1
    org.claim("C-2")
    org.request()
    assert bilag.database.value("select due_at from bilag.export_lanes") == NOON


def test_an_idle_lane_is_due_never(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    worker.work()
    facts = org.database.sql("select due_at, msg_id, lease_token, run_id, in_flight from bilag.export_lanes")
    assert facts == [(None, None, None, None, False)]


def test_lanes_without_work_get_no_message(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    bilag.organisation("Idle")
    org.request()
    worker.work()
    assert messages(bilag.database) == []


def test_a_lane_yields_to_the_others_after_a_minute_of_batches(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    small = bilag.organisation("Small")
    org.approve(1000)
    org.request()
    long = worker.claim_one()
    small.claim("S-1")
    small.request()
    (long,) = worker.settle(long)
    bilag.advance(seconds=61)
    assert worker.settle(long) == [], "its minute is over"
    first, second = worker.claim(1), worker.claim(1)
    assert [job["orgId"] for job in first + second] == [str(small.id), str(org.id)]


def test_what_waits_waits_in_tables_and_never_in_the_queue(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "unknown")
    assert messages(org.database) == []
    assert org.database.value("select due_at > bilag_internal.now() from bilag.export_lanes")


def test_a_pause_or_a_circuit_that_is_over_makes_no_idle_lane_due(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    org.database.sql("select bilag.pause_integration(%s, 'xledger', 'x', '2026-03-02 11:10+00')", org.id)
    org.database.sql("update bilag.export_lanes set circuit_open_until = '2026-03-02 11:05+00'")
    bilag.advance(minutes=10)
    worker.settle(worker.claim_one())
    assert org.database.sql("select due_at, msg_id from bilag.export_lanes") == [(None, None)]
    assert worker.tick()["woken"] == 0
