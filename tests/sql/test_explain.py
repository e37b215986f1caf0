"""Where is my money: the whole story of a claim, one line per event."""

from __future__ import annotations

from datetime import date

from tests.fix_bilag import Bilag, Line, Organisation
from tests.sql.correcting import reversal_is_in_hand
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused


def story(org: Organisation, number: str = "C-1") -> list[str]:
    return [line for (line,) in org.database.sql("select bilag.explain_claim(%s, %s)", org.id, number)]


def test_the_story_of_a_claim_that_was_doubtful_found_absent_and_booked(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.database.sql("alter table bilag.expense_claims alter created_at set default '2026-03-01 08:00+00'")
    org.claim("C-1")
    run = org.request()
    worker.settle(worker.claim_one(), "unknown")
    assert story(org)[-1] == "2026-03-02 12:00:05  xledger: will be looked up again"
    bilag.advance(seconds=65)
    (job,) = worker.settle(worker.claim_one(), "absent")
    worker.settle(job, {"outcome": "exported", "externalId": "GL-1"})
    told = story(org)
    reference = org.database.value("select reference from bilag.export_items")
    assert told[0] == "2026-03-01 09:00:00  claim C-1 registered, NOK"
    assert told[1] == "2026-03-02 12:00:00  approved"
    assert told[2] == (
        f"2026-03-02 12:00:00  xledger: taken by run {run} as voucher 1, reference {reference}, 100.50 NOK,"
        " posting date 2026-03-02"
    )
    assert told[3].startswith("2026-03-02 12:00:00  xledger: sent for the first time (2 attempts by now), correlation ")
    assert told[3].endswith(str(job["correlationId"]))
    assert told[4] == "2026-03-02 12:01:05  xledger: booked, external id GL-1"
    assert len(told) == 5


def test_a_rejection_and_a_persons_decision_are_in_the_story(org: Organisation, worker: FakeWorker) -> None:
    claim = org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), {"outcome": "rejected", "message": "Konto sperret", "externalId": None})
    org.database.sql("select bilag.exclude_claim(%s, 'xledger', 'private')", claim)
    told = story(org)
    assert any(line.endswith("xledger: rejected: Konto sperret") for line in told)
    assert any("claim.excluded by " in line and line.endswith(": private") for line in told)


def test_a_reversal_is_not_sent_before_it_was_asked_for(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    claim = org.claim("C-1")
    org.request()
    worker.work()
    bilag.advance(hours=1)
    worker.settle(reversal_is_in_hand(org, worker, claim))
    (sent,) = (line for line in story(org) if "reversal sent" in line)
    assert sent.startswith("2026-03-02 13:00:00  xledger: reversal sent, correlation ")
    assert sum("xledger: sent" in line for line in story(org)) == 1


def next_of(org: Organisation) -> str:
    """The last line, without its time."""
    return story(org)[-1][21:]


def test_the_story_ends_with_what_the_claim_waits_for(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    claim = org.claim("C-1")
    assert next_of(org) == "xledger: goes with the next run; none is queued or scheduled"
    org.database.sql(
        "insert into bilag.export_schedules (org_id, integration_type, frequency, run_at, run_on_day)"
        " values (%s, 'xledger', 'weekly', '06:00', '5')",
        org.id,
    )
    assert next_of(org) == "xledger: goes with the next run, scheduled for 2026-03-06 06:00:00"
    run = org.request()
    assert next_of(org) == f"xledger: goes with run {run}, which is queued"
    org.database.sql("select bilag.pause_integration(%s, 'xledger', 'stocktaking')", org.id)
    assert next_of(org).endswith("which is queued; the integration is paused")
    org.database.sql("select bilag.exclude_claim(%s, 'xledger', 'private')", claim)
    assert next_of(org) == "xledger: excluded: private"
    org.database.sql("select bilag.include_claim(%s, 'xledger')", claim)
    org.database.sql("select bilag.resume_integration(%s, 'xledger')", org.id)
    worker.work()
    assert any("booked" in line for line in story(org))
    assert not any("goes with" in line for line in story(org))


def test_what_is_never_taken_is_told_with_its_reason(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.database.sql("update bilag.integration_config set export_from = '2026-03-03 00:00+01'")
    assert next_of(org) == "xledger: not exported: approved before export_from, which is 2026-03-03 00:00:00"
    org.database.sql("update bilag.integration_config set export_from = '2026-03-01 00:00+01'")
    org.claim("C-2", approved_at="2026-03-09 12:00+01")
    assert story(org, "C-2")[-1] == (
        "2026-03-09 12:00:00  xledger: no run takes it before its approval, which is in the future"
    )
    org.database.sql("update bilag.integration_config set enabled = false")
    assert next_of(org) == "xledger: not exported: the integration is disabled"


def test_a_run_that_ends_before_the_claim_or_has_taken_all_of_its_own_is_not_waited_for(
    org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    run = org.request()
    worker.claim_one()
    org.claim("C-2")
    org.request(date(2026, 2, 28))
    told = "xledger: goes with the next run; none is queued or scheduled"
    assert org.status(run)["status"] == "running"
    assert story(org, "C-2")[-1].endswith(told)


def test_what_was_rejected_waits_for_a_change(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1", Line("Unheard of", "1.00"))
    org.request()
    worker.work()
    assert (
        next_of(org) == "xledger: tried again by a run that comes after a change of the claim, a mapping or a setting"
    )


def test_a_copy_tells_what_it_waits_for_beside_the_integration_that_books(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    bilag.type("dynamics365")
    org.integration("dynamics365", books=False)
    org.claim("C-1")
    org.request()
    worker.work()
    assert next_of(org) == "dynamics365: goes with the next run; none is queued or scheduled"


def test_a_claim_that_nothing_happened_to_has_a_short_story(org: Organisation) -> None:
    org.claim("C-1", status="draft")
    assert len(story(org)) == 1


def test_the_story_is_for_the_finance_of_its_organisation(bilag: Bilag, org: Organisation) -> None:
    org.claim("C-1")
    with refused("KB002", "no claim 'C-9'"):
        story(org, "C-9")
    for person in (org.member("member"), bilag.organisation("Other").member()):
        with bilag.database.as_user(person) as connection, refused("KB003"):
            connection.execute("select bilag.explain_claim(%s, 'C-1')", [org.id])
