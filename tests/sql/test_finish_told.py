"""What the audit and the alerts say of an ended run: its own claims, what was booked, and what went wrong."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.fix_bilag import Bilag, Line, Organisation
from tests.sql.correcting import reversal_is_in_hand
from tests.sql.fake_worker import FakeWorker, Item, failed, report


def ended(org: Organisation) -> dict[str, Any]:
    """The organisation's last end of a run, as the audit has it."""
    ((action, details, digest),) = org.database.sql(
        "select action, details, vouchers_sha256 from bilag.bufdir_export_audit_log"
        " where org_id = %s and action ~ '^run[.](succ|part|fail|canc)' order by id desc limit 1",
        org.id,
    )
    claims = {name: n for name, n in details["claims"].items() if n}
    return {"action": action, "claims": claims, "sums": details["sums"], "digest": digest}


def digest(org: Organisation, *numbers: int) -> bytes:
    """Of the vouchers with these numbers, in this order."""
    vouchers = dict(
        org.database.sql("select voucher_number, voucher::text from bilag.export_items where org_id = %s", org.id)
    )
    return b"".join(hashlib.sha256(vouchers[n].encode()).digest() for n in numbers)


def alerts(bilag: Bilag) -> list[tuple[str, str]]:
    return bilag.database.sql(
        "select o.name, a.message from bilag.alerts a join bilag.organizations o on o.id = a.org_id"
        " where a.kind = 'run_failed' and a.resolved_at is null order by 1"
    )


def wait_an_hour(bilag: Bilag, worker: FakeWorker) -> None:
    bilag.advance(minutes=61)
    worker.tick()


def test_what_is_accepted_when_a_run_ends_counts_as_booked_and_what_is_in_doubt_does_not(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    for number, amount in enumerate(("1", "2", "4", "8"), start=1):
        org.claim(f"C-{number}", Line("Taxi", amount))
    org.request()
    outcomes = {1: "exported", 2: "accepted", 3: "unknown", 4: "rejected"}
    worker.settle(worker.claim_one(), lambda item: outcomes[item["voucher"]["voucherNumber"]])
    wait_an_hour(bilag, worker)
    assert ended(org) == {
        "action": "run.partially_succeeded",
        "claims": {"total": 4, "exported": 1, "accepted": 1, "inDoubt": 1, "rejected": 1},
        "sums": {"NOK": "3.00"},
        "digest": hashlib.sha256(digest(org, 1, 2)).digest(),
    }
    assert alerts(bilag) == [], "claims that were rejected are no error of the run"


def test_a_run_that_ends_in_doubt_does_not_say_that_its_claims_were_rejected(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.approve(2)
    org.request()
    worker.settle(worker.claim_one(), "unknown")
    wait_an_hour(bilag, worker)
    assert ended(org) == {"action": "run.failed", "claims": {"total": 2, "inDoubt": 2}, "sums": {}, "digest": None}
    ((_, told),) = alerts(bilag)
    assert "in doubt" in told
    assert "rejected" not in told


@pytest.mark.parametrize(("mate", "status"), [(None, "failed"), ("exported", "partially_succeeded")])
def test_a_run_whose_voucher_turned_out_not_to_be_booked_has_not_succeeded_and_may_be_retried(
    bilag: Bilag, org: Organisation, worker: FakeWorker, mate: str | None, status: str
) -> None:
    claim = org.claim("C-1")
    if mate is not None:
        org.claim("C-2")
    run = org.request()
    worker.settle(worker.claim_one(), lambda item: "unknown" if named(item, "C-1") else str(mate))
    org.database.sql("select bilag.resolve_in_doubt(%s, 'xledger', 'not_booked')", claim)
    bilag.advance(minutes=5)
    worker.settle(worker.claim_one(), "absent")
    assert org.states()["C-1"] == "voided"
    assert org.status(run)["status"] == status
    told = [] if mate else [("Testlaget", "The run booked nothing: bilag.claim_exports says why.")]
    assert alerts(bilag) == told
    org.database.sql("select bilag.retry_export(%s)", run)
    worker.work()
    assert set(org.states().values()) == {"exported"}


def test_a_reversal_that_turned_out_not_to_be_booked_has_not_succeeded(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    claim = org.claim("C-1")
    org.request()
    worker.work()
    post = reversal_is_in_hand(org, worker, claim)
    worker.settle(post, "unknown")
    org.database.sql("select bilag.resolve_in_doubt(%s, 'xledger', 'not_booked')", claim)
    bilag.advance(minutes=5)
    worker.settle(worker.claim_one(), "absent")
    assert ended(org)["action"] == "run.failed"


def test_runs_that_end_together_are_told_each_by_its_own_claims(bilag: Bilag, worker: FakeWorker) -> None:
    orgs = {name: bilag.organisation(name) for name in ("One", "Two")}
    for amount, org in enumerate(orgs.values(), start=1):
        org.claim("C-1", Line("Taxi", str(amount)))
        org.request()
    jobs = worker.claim()
    told = [report(job, "rejected" if job["orgId"] == str(orgs["Two"].id) else "exported") for job in jobs]
    worker.tell(*told)
    assert ended(orgs["One"]) == {
        "action": "run.succeeded", "claims": {"total": 1, "exported": 1}, "sums": {"NOK": "1.00"},
        "digest": hashlib.sha256(digest(orgs["One"], 1)).digest(),
    }  # fmt: skip
    assert ended(orgs["Two"])["claims"] == {"total": 1, "rejected": 1}
    assert alerts(bilag) == [("Two", "Every claim of the run was rejected.")]


def test_only_a_run_of_the_same_integration_that_ended_well_resolves_the_alert_and_no_other_alert(
    bilag: Bilag, worker: FakeWorker
) -> None:
    one, two = bilag.organisation("One"), bilag.organisation("Two")
    for org in (one, two):
        org.claim("C-1")
        org.request()
        worker.work(lambda _job, _item: "rejected")
    integration = bilag.database.value("select id from bilag.integration_config where org_id = %s", one.id)
    bilag.database.sql(
        "select bilag_internal.raise_alert('credential', %s, %s, 'xledger', 'x')", str(integration), one.id
    )
    one.claim("C-2")
    one.claim("C-3")
    one.request()
    worker.work(lambda _job, item: "exported" if named(item, "C-2") else "rejected")
    assert [name for name, _ in alerts(bilag)] == ["One", "Two"], "in part is not well"
    one.claim("C-4")
    one.request()
    worker.work()
    assert [name for name, _ in alerts(bilag)] == ["Two"]
    other = bilag.database.sql("select from bilag.alerts where kind = 'credential' and resolved_at is null")
    assert len(other) == 1


def test_a_run_that_an_error_ended_in_part_is_told(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    bilag.database.sql("update bilag.integration_types set vouchers_per_batch = 1")
    org.approve(2)
    run = org.request()
    (job,) = worker.settle(worker.claim_one())
    worker.settle(job, "unsent", failure=failed("permanent", message="Gone."))
    assert org.status(run)["status"] == "partially_succeeded"
    assert alerts(bilag) == [("Testlaget", "Gone.")]


def test_a_run_that_ended_waits_for_nothing_and_will_not_be_tried_again(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    doubtful = org.request()
    worker.settle(worker.claim_one(), "unknown")
    assert org.status(doubtful)["waitingFor"]["reasonCode"] == "in_doubt"
    org.database.sql("select bilag.cancel_export(%s)", doubtful)
    org.claim("C-2")
    never = org.request()
    org.database.sql("select bilag.cancel_export(%s)", never)
    org.database.sql("delete from bilag.retry_schedule")
    given_up = org.request()
    failure = failed()
    failure["error"]["isRetryable"] = True
    worker.settle(worker.claim_one(), "unsent", failure=failure)
    assert org.status(given_up)["error"]["isRetryable"] is False, "by Bilag; a person may"
    rows = org.database.sql(
        "select id, status, started_at is not null, waiting_since, waiting_reason_code from bilag.export_runs"
        " order by enqueued_at, id"
    )
    assert sorted(rows, key=lambda row: (doubtful, never, given_up).index(row[0])) == [
        (doubtful, "cancelled", True, None, None),
        (never, "cancelled", True, None, None),
        (given_up, "failed", True, None, None),
    ]


def test_a_run_in_several_currencies_has_a_sum_of_each_and_one_hash_of_all(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    bilag.type("many", foreignCurrency=True, needsCredential=False)
    org.integration("many", books=False)
    org.map("Taxi", "1", kind="many")
    for number, currency in enumerate(("SEK", "EUR", "SEK"), start=1):
        org.claim(f"C-{number}", Line("Taxi", str(number)), currency=currency)
    org.request(kind="many")
    worker.work()
    told = ended(org)
    assert told["sums"] == {"EUR": "2.00", "SEK": "4.00"}
    by_currency = hashlib.sha256(digest(org, 2) + digest(org, 1, 3)).digest()
    assert told["digest"] == by_currency


def named(item: Item, number: str) -> bool:
    return bool(item["voucher"]["claimNumber"] == number)
