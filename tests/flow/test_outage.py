"""An accounting system goes away and comes back: seen by checks, told by alerts, waited out by exports."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from dev.fakes import XledgerFake
from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.stories import story
from tests.flow.tenant import Tenant


def checks(org: Tenant) -> int:
    return int(org.database.value("select count(*) from bilag.health_check_history where org_id = %s", org.id))


def next_check(here: Installation, org: Tenant) -> dict[str, Any]:
    """Have the next check done by the worker, now instead of when it is due; its status.

    The clock is not moved: the accounting system has one of its own, and a voucher sent in its future is not found.
    """
    before = checks(org)
    here.database.sql("update bilag.integration_health_status set next_check_at = now() where org_id = %s", org.id)
    here.database.sql("update bilag_internal.health_rounds set due_at = now() where org_id = %s", org.id)
    here.database.sql(
        "update bilag.integration_config set created_at = created_at - interval '20 minutes' where org_id = %s", org.id
    )
    here.tick()
    until("it is checked", lambda: checks(org) > before, 60)
    rows = here.database.sql("select to_jsonb(s) from bilag.integration_health_status s where s.org_id = %s", org.id)
    return dict(rows[0][0])


def circuit(org: Tenant) -> bool:
    return bool(
        org.database.value("select circuit_open_until is not null from bilag.export_lanes where org_id = %s", org.id)
    )


def three_checks_fail(here: Installation, org: Tenant) -> None:
    for failures in (1, 2, 3):
        status = next_check(here, org)
        assert (status["status"], status["consecutive_failures"]) == ("unreachable", failures)
        assert "503" in status["error_message"]
    until("the alert is open", lambda: "integration_unreachable" in here.alerts())


def exports_are_held(here: Installation, org: Tenant) -> UUID:
    """Five claims more, whose run fails until the circuit opens."""
    org.approve(5, prefix="D")
    run = org.request()
    for failures in range(1, 6):
        until("it failed once more", lambda failures=failures: failed(org) >= failures, 60)  # type: ignore[misc]
        if failures < 5:
            here.database.sql("select bilag.retry_export(%s)", run)
    assert circuit(org)
    assert "circuit_open" in here.alerts()
    assert org.status(run)["claims"]["exported"] == 0
    return run


def failed(org: Tenant) -> int:
    return int(org.database.value("select failures from bilag.export_lanes where org_id = %s", org.id))


@story()
def test_an_outage_is_seen_told_waited_out_and_over_with_nothing_lost(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation(claims=5)
    org.configure(slow_after_ms=10_000)
    worker = here.worker()
    first = org.request()
    org.until_ended(first)
    assert next_check(here, org)["status"] == "healthy"
    assert "integration_unreachable" not in here.alerts()

    erp.maintenance(retry_after="1")
    three_checks_fail(here, org)
    run = exports_are_held(here, org)

    erp.maintenance_over()
    assert next_check(here, org)["status"] == "healthy"
    until("the alert is resolved", lambda: "integration_unreachable" not in here.alerts())
    here.database.sql("update bilag.export_lanes set circuit_open_until = now()")  # the minute is over
    here.database.sql("select bilag.retry_export(%s)", run)
    assert org.until_ended(run)["status"] == "succeeded"
    verdict = here.verdict()
    assert verdict.is_right
    assert verdict.booked == 10
    assert not here.alerts() & {"integration_unreachable", "circuit_open"}
    ((marks,),) = here.database.sql("select marks from bilag.health_trend where org_id = %s", org.id)
    assert marks.strip() == "u"  # all of it was in one quarter of an hour, and the worst of that is shown
    assert worker.stop() == 0
    told = [event for event in worker.events("connection.checked") if event["organization_id"] == str(org.id)]
    assert [event["status"] for event in told].count("unreachable") >= 3


@story()
def test_a_drain_does_the_checks_that_are_due_and_only_in_the_queues_it_was_told_to_serve(
    here: Installation, erp: XledgerFake
) -> None:
    org = here.organisation()
    here.database.sql("update bilag.integration_config set created_at = created_at - interval '20 minutes'")
    here.database.sql("update bilag_internal.health_rounds set due_at = now()")
    assert here.worker("--drain", "--queues", "exports").ended() == 0
    assert checks(org) == 0
    assert here.worker("--drain", "--queues", "health_checks").ended() == 0
    assert checks(org) == 1
    assert here.worker("--drain").ended() == 0
    assert checks(org) == 1


@story()
def test_a_check_that_a_person_asks_for_is_done_at_once(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation()
    org.configure(slow_after_ms=10_000)
    worker = here.worker()
    until("it asks for work", lambda: bool(worker.events("worker.started")))
    check = here.database.value("select bilag.request_health_check(%s)", org.id)
    until("it is done", lambda: here.database.value("select bilag.health_check_status(%s)->>'status'", check) == "done")
    answer = here.database.value("select bilag.health_check_status(%s)->'integrations'->0", check)
    assert (answer["integrationType"], answer["status"], answer["error"]) == ("xledger", "healthy", None)
    assert answer["latencyMs"] >= 0
