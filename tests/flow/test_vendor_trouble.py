"""The accounting system says no, says nothing, or is away: what is written down, what waits, and what goes on."""

from __future__ import annotations

from datetime import timedelta

from dev.fakes import XledgerFake
from tests.fix_bilag import Line
from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.stories import story

WRITE = "addGLImportItems"


@story()
def test_a_missing_credential_pauses_with_an_alert_and_setting_one_resumes(
    here: Installation, erp: XledgerFake
) -> None:
    org = here.organisation(claims=5, credential=False)
    run = org.request()
    here.worker()
    until("the alert is open", lambda: "credential" in here.alerts())
    status = org.status(run)
    assert status["waitingFor"]["reasonCode"] == "credential_missing"
    assert status["error"]["httpStatus"] == 403
    assert (status["error"]["errorClass"], status["error"]["isRetryable"]) == ("permanent", False)
    assert erp.calls.total() == 0
    here.give_credential(org)
    assert org.until_ended(run)["status"] == "succeeded"
    assert here.verdict().is_right
    assert "credential" not in here.alerts()


@story()
def test_an_expired_credential_fails_before_anything_is_sent_and_says_so(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation(claims=5)
    here.database.sql("update bilag.integration_config set credential_expires_at = now() - interval '1 minute'")
    run = org.request()
    here.worker()
    until("the alert is open", lambda: "credential" in here.alerts())
    status = org.status(run)
    assert status["waitingFor"]["reasonCode"] == "credential_expired"
    error = status["error"]
    assert error.keys() == {
        "correlationId", "errorClass", "httpStatus", "adapterName", "attempt", "message", "isRetryable",
    }  # fmt: skip
    assert (error["errorClass"], error["httpStatus"], error["isRetryable"]) == ("permanent", 403, False)
    assert error["message"].startswith("The credential expired at ")
    assert (erp.calls.total(), set(org.states().values())) == (0, {"pending"})
    here.give_credential(org)
    assert org.until_ended(run)["status"] == "succeeded"
    assert here.verdict().is_right


@story()
def test_a_maintenance_page_is_waited_out_and_the_run_then_goes_on(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation(claims=5)
    erp.maintenance(retry_after="1")
    run = org.request()
    here.worker()
    status = until("the run waits", lambda: found if (found := org.status(run))["status"] == "waiting" else {}, 60)
    assert status["nextAttemptAt"] is not None
    assert status["error"]["httpStatus"] == 503
    erp.maintenance_over()
    until("nobody has the lane", lambda: not here.leased())
    here.database.advance(timedelta(seconds=20))
    here.live_on(run, org)
    assert here.verdict().is_right


@story()
def test_each_attempt_is_a_row_when_the_system_fails_fails_and_succeeds(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation(claims=5)
    erp.fail_next(503, times=2, after=1, on=WRITE)
    org.request()
    here.worker()
    assert here.until_right().booked == 5
    rows = until(
        "the rows are written",
        lambda: here.database.sql(
            "select attempt_number, error_class, http_status, total_attempts, adapter_name, correlation_id, org_id"
            " from bilag.integration_run_logs where operation = 'post' order by attempt_number"
        ),
    )
    assert [row[:5] for row in rows] == [
        (1, "transient", 503, None, "xledger"),
        (2, "transient", 503, None, "xledger"),
        (3, None, None, 3, "xledger"),
    ]
    assert {row[6] for row in rows} == {org.id}
    ((correlation,),) = {row[5:6] for row in rows}
    sent = [request for request in erp.requests if request.operation == WRITE]
    assert {request.headers["x-correlation-id"] for request in sent} == {str(correlation)}


@story()
def test_an_account_that_the_system_does_not_know_rejects_only_its_vouchers(
    here: Installation, erp: XledgerFake
) -> None:
    org = here.organisation(claims=20)
    org.map("Mystery", "9999")
    for n in range(3):
        org.claim(f"BAD-{n}", Line("Mystery", "10.00"))
    run = org.request()
    here.worker()
    assert org.until_ended(run)["status"] == "partially_succeeded"
    verdict = here.verdict()
    assert verdict.is_right, verdict
    assert (verdict.booked, verdict.rejected) == (20, 3)
    reasons = here.database.sql(
        "select distinct reason_code, reason_params ->> 'code' from bilag.claim_exports where state = 'rejected'"
    )
    assert reasons == [("account_unknown", "9999")]


@story()
def test_a_worker_of_another_environment_posts_nothing(here: Installation, erp: XledgerFake) -> None:
    here.organisation(claims=5).request()
    worker = here.worker(BILAG_ENVIRONMENT="staging")
    assert worker.ended() == 1
    said = worker.log.read_text(encoding="utf-8")
    assert "staging" in said
    assert "development" in said
    assert "Traceback" not in said
    assert erp.calls.total() == 0


@story()
def test_a_worker_that_does_not_know_the_contract_stops_claiming_and_names_both(
    here: Installation, erp: XledgerFake
) -> None:
    org = here.organisation(claims=5)
    running = here.worker()
    running.said("worker.started")
    here.database.sql(
        "create or replace function bilag_internal.contract() returns integer language sql immutable as 'select 2'"
    )
    org.request()
    assert running.ended() == 1
    refused = running.events("claim.refused")  # of each queue
    assert refused
    assert all("1" in event["message"] and "2" in event["message"] for event in refused)
    late = here.worker()
    assert late.ended() == 1
    assert "Traceback" not in late.log.read_text(encoding="utf-8")
    assert erp.calls.total() == 0
