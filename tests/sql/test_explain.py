"""Where is my money: the whole story of a claim, one line per event."""

from __future__ import annotations

from tests.fix_bilag import Bilag, Organisation
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
