"""Every item of a job is in its report exactly once, however the job ended."""

from __future__ import annotations

from tests.worker.stub_database import a_job
from worker.errors import RateLimited
from worker.failure import FailurePayload
from worker.reports import Tally, failure_of, failure_of_ours


def outcomes(tally: Tally) -> list[str]:
    return [result["outcome"] for result in tally.report(release=False)["results"]]


def test_what_was_never_sent_is_unsent() -> None:
    assert outcomes(Tally(a_job(items=3))) == ["unsent"] * 3


def test_what_may_have_been_sent_is_unknown() -> None:
    assert outcomes(Tally(a_job(items=2), writing=True)) == ["unknown", "unknown"]


def test_a_look_up_that_found_nothing_out_is_unknown_and_never_unsent() -> None:
    assert outcomes(Tally(a_job("find", items=2))) == ["unknown", "unknown"]
    assert outcomes(Tally(a_job("confirm", items=2))) == ["unknown", "unknown"]


def test_what_is_known_is_told_and_the_rest_is_not_guessed_at() -> None:
    tally = Tally(a_job(items=3), writing=True)
    tally.settle(2, "exported", external_id="77")
    assert outcomes(tally) == ["unknown", "exported", "unknown"]


def test_the_report_names_its_lane_token_run_and_invocation() -> None:
    job = a_job()
    report = Tally(job).report(release=True)
    assert {key: report[key] for key in ("lane", "token", "runId", "kind", "correlationId")} == {
        key: job[key] for key in ("lane", "token", "runId", "kind", "correlationId")
    }
    assert (report["release"], report["failure"]) == (True, None)
    assert report["results"][0] == {
        "id": 1,
        "attempt": 1,
        "outcome": "unsent",
        "externalId": None,
        "reasonCode": None,
        "reasonParams": {},
        "message": None,
    }


def test_a_message_is_cut_scrubbed_and_redacted_on_its_way() -> None:
    tally = Tally(a_job())
    tally.settle(1, "rejected", message="\x00" + "Authorization: Bearer abcdefghijkl " + "x" * 900)
    message = tally.report(release=False)["results"][0]["message"]
    assert "\x00" not in message
    assert "abcdefghijkl" not in message
    assert len(message) == 500


def test_a_failure_has_exactly_the_seven_keys_and_what_sql_needs_beside_them() -> None:
    job = a_job()
    told = failure_of(RateLimited("slow down", http_status=429, retry_after=30), job, attempt=4).as_json()
    FailurePayload.model_validate(told["error"])
    assert set(told["error"]) == {
        "correlationId",
        "errorClass",
        "httpStatus",
        "adapterName",
        "attempt",
        "message",
        "isRetryable",
    }
    assert (told["error"]["attempt"], told["error"]["isRetryable"]) == (4, False)
    assert (told["reasonCode"], told["retryAfterSeconds"]) == ("rate_limited", 30)


def test_a_failure_of_ours_fits_the_same_seven_keys() -> None:
    FailurePayload.model_validate(failure_of_ours(a_job(), "The worker failed.").as_json()["error"])
