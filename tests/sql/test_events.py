"""What is told to the outside: ids, codes and counts of what happened, and never at the cost of what it tells of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.fix_bilag import Bilag, Line, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker, failed
from tests.sql.hooks import SECRET, SET, URL, settle, take, told


@pytest.fixture
def hook(bilag: Bilag) -> Bilag:
    bilag.database.sql(SET, URL, SECRET, None)
    return bilag


def heard(worker: FakeWorker, *types: str) -> list[dict[str, Any]]:
    """Everything that has been told since, delivered."""
    bodies: list[dict[str, Any]] = []
    while events := take(worker, 100):
        bodies += [json.loads(event["body"]) for event in events]
        settle(worker, *(told(event, "delivered") for event in events))
    return [body for body in bodies if not types or body["type"] in types]


def test_an_alert_is_told_when_it_opens_and_when_it_resolves_and_not_each_time_it_is_seen(
    hook: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    for _ in range(3):
        hook.database.sql("select bilag_internal.raise_alert('run_failed', 'a', %s, 'xledger', 'secret words')", org.id)
    hook.database.sql("select bilag.resolve_alert(id, 'more secret words') from bilag.alerts")
    opened, resolved = sorted(heard(worker), key=lambda body: body["type"])
    assert (opened["type"], resolved["type"]) == ("alert.opened", "alert.resolved")
    data = resolved["data"]
    assert (data["kind"], data["severity"], data["orgId"], data["integrationType"], data["count"]) == (
        "run_failed", "warning", str(org.id), "xledger", 3,
    )  # fmt: skip
    assert data["resolvedAt"]
    assert data["whatToDo"]
    assert "secret" not in json.dumps([opened, resolved])


def test_a_run_is_told_when_it_ends_with_its_counts_and_codes(
    hook: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.claim("C-2", Line("Unmapped", "10"))
    run = org.request()
    worker.work()
    (body,) = heard(worker, "run.finished")
    data = body["data"]
    assert (data["runId"], data["orgId"], data["status"]) == (str(run), str(org.id), "partially_succeeded")
    assert (data["claims"]["exported"], data["claims"]["rejected"]) == (1, 1)


def test_a_failed_run_tells_its_error_without_what_the_vendor_wrote(
    hook: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), "unsent", failure=failed("permanent", message="Kari Nordmann is unknown."))
    (body,) = heard(worker, "run.finished")
    assert body["data"]["error"]["errorClass"] == "permanent"
    assert "Kari" not in json.dumps(body)


def changes(worker: FakeWorker) -> list[tuple[str, str, str | None]]:
    return sorted(
        (claim["claimNumber"], claim["state"], claim["reasonCode"])
        for body in heard(worker, "claims.changed")
        for claim in body["data"]["claims"]
    )


def test_claims_are_told_when_they_are_rejected_accepted_and_booked(
    hook: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.claim("C-2", Line("Unmapped", "10"))
    org.request()
    job = worker.claim_one()
    assert changes(worker) == [("C-2", "rejected", "mapping_missing")]
    worker.settle(job, "accepted")
    assert changes(worker) == [("C-1", "accepted", None)]
    hook.advance(seconds=1)
    worker.settle(worker.claim_one(), "accepted")
    assert changes(worker) == [], "it is still accepted"
    hook.advance(minutes=1)
    worker.settle(worker.claim_one(), "exported")
    assert changes(worker) == [("C-1", "exported", None)]


def test_claims_are_told_when_a_run_lets_them_go_and_when_a_person_decides(
    hook: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    one, two = org.claim("C-1"), org.claim("C-2")
    run = org.request()
    job = worker.claim_one()
    worker.settle(job, lambda item: "unsent" if item["voucher"]["claimNumber"] == "C-1" else "unknown", release=True)
    changes(worker)
    hook.database.sql("select bilag.cancel_export(%s)", run)
    assert changes(worker) == [("C-1", "voided", "run_ended")]
    hook.database.sql("select bilag.mark_booked(%s, 'xledger', 'V1', 'x')", one)
    assert changes(worker) == [("C-1", "exported", "booked_elsewhere")]
    hook.database.sql("select bilag.resolve_in_doubt(%s, 'xledger', 'booked', 'V2', 'x')", two)
    assert changes(worker) == [("C-2", "exported", None)]


def test_a_claim_that_is_released_for_another_export_is_told(
    hook: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    worker.work()
    changes(worker)
    hook.database.sql("select bilag_internal.release_items(array(select id from bilag.export_items))")
    assert changes(worker) == [("C-1", "voided", "released_for_reexport")]


def test_many_claims_are_told_in_pieces_of_five_hundred_and_each_organisation_by_itself(
    hook: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    other = hook.organisation("Other")
    org.approve(600)
    other.approve(3)
    hook.database.sql("delete from bilag.account_mappings")
    org.request()
    other.request()
    worker.work()
    told_of = [(b["data"]["orgId"], len(b["data"]["claims"])) for b in heard(worker, "claims.changed")]
    assert max(n for _, n in told_of) <= 500
    assert sum(n for who, n in told_of if who == str(org.id)) == 600
    assert [n for who, n in told_of if who == str(other.id)] == [3]


def test_only_what_is_wanted_is_queued(hook: Bilag, org: Organisation, worker: FakeWorker) -> None:
    hook.database.sql(SET, URL, None, ["run.finished"])
    org.claim("C-1", Line("Unmapped", "10"))
    org.request()
    worker.work()
    assert [body["type"] for body in heard(worker)] == ["run.finished"]


def test_what_nobody_wants_any_more_and_what_is_gone_is_dropped(
    hook: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    for problem in ("kept", "gone"):
        hook.database.sql("select bilag_internal.raise_alert('run_failed', %s, %s, 'xledger', 'x')", problem, org.id)
    hook.database.sql("delete from bilag.alerts where problem_key = 'gone'")
    hook.database.sql("select bilag.test_webhook()")
    assert [body["type"] for body in heard(worker)] == ["alert.opened", "webhook.test"]
    hook.database.sql("select bilag_internal.raise_alert('run_failed', 'later', %s, 'xledger', 'x')", org.id)
    hook.database.sql(SET, URL, None, ["run.finished"])
    assert heard(worker) == []
    assert hook.database.value("select count(*) from bilag.webhook_deliveries") == 0


@pytest.mark.parametrize(
    "harm",
    [
        "drop table pgmq.q_bilag_webhooks",
        "alter table pgmq.q_bilag_webhooks add constraint full_up check (false)",
        "create trigger no before insert on pgmq.q_bilag_webhooks for each row execute function broken()",
    ],
)
def test_a_queue_that_takes_nothing_stops_no_export(
    hook: Bilag, org: Organisation, worker: FakeWorker, harm: str
) -> None:
    hook.database.sql(
        "create function broken() returns trigger language plpgsql as $$ begin raise exception 'broken'; end $$"
    )
    hook.database.connect().execute(harm.encode())
    org.claim("C-1")
    org.claim("C-2", Line("Unmapped", "10"))
    org.request()
    worker.work()
    assert org.states() == {"C-1": "exported", "C-2": "rejected"}
    hook.database.sql("select bilag_internal.raise_alert('doubled', 'a', %s, 'xledger', 'x')", org.id)
    assert hook.database.value("select count(*) from bilag.open_alerts") == 1


def test_somebody_who_is_changing_the_webhook_keeps_nobody_waiting(
    database: Database, hook: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    typing = database.connect(autocommit=False)
    typing.execute(SET, [URL + "/new", None, None])
    worker.work()
    assert org.states() == {"C-1": "exported"}
    typing.rollback()


def test_an_event_of_a_run_that_is_queued_twice_is_sent_once(
    hook: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.request()
    worker.work()
    message = {"event_id": None, "event": "run.finished"}
    hook.database.sql("select bilag_internal.runs_finished(array(select id from bilag.export_runs))")
    assert len(heard(worker, "run.finished")) == 1
    hook.database.sql("select pgmq.send('bilag_webhooks', %s)", Jsonb(message))
    assert heard(worker) == []
