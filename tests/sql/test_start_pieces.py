"""A backlog is taken in pieces, so that it neither blocks the other lanes nor outlasts a statement's time."""

from __future__ import annotations

from datetime import date

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.fix_postgres import Database
from tests.sql.fake_worker import FakeWorker
from tests.sql.sessions import two_sessions


@pytest.fixture
def crowd(bilag: Bilag) -> list[Organisation]:
    """Thirty organisations that start in the same call, so that each gets a hundred claims at a time; one has 250."""
    crowd = [bilag.organisation(str(n)) for n in range(30)]
    for org in crowd:
        org.approve(1)
        org.request()
    crowd[7].approve(249, "D")
    return crowd


def test_every_claim_of_a_run_that_takes_in_pieces_is_booked_once_and_numbered_without_a_gap(
    bilag: Bilag, crowd: list[Organisation], worker: FakeWorker
) -> None:
    jobs = worker.claim(30)
    assert len(jobs) == 30
    assert max(len(job["items"]) for job in jobs) == 100
    for job in jobs:
        following = worker.settle(job)
        while following:
            following = worker.settle(following[0])
    worker.work()
    big = crowd[7]
    assert list(big.states().values()) == ["exported"] * 250
    numbers = bilag.database.sql(
        "select voucher_number, position from bilag.export_items where org_id = %s order by position", big.id
    )
    assert numbers == [(n, n) for n in range(1, 251)]
    statuses = bilag.database.sql("select distinct status from bilag.export_runs")
    assert statuses == [("succeeded",)]


def test_a_run_between_two_pieces_is_not_at_its_end(
    bilag: Bilag, crowd: list[Organisation], worker: FakeWorker
) -> None:
    (big,) = [job for job in worker.claim(30) if len(job["items"]) == 100]
    worker.settle(big, release=True)
    status = bilag.database.value("select status from bilag.export_runs where id = %s", big["runId"])
    assert status == "running"
    (job,) = worker.claim()
    assert job["runId"] == big["runId"]


def test_a_run_between_two_pieces_that_is_cancelled_takes_no_more(
    bilag: Bilag, crowd: list[Organisation], worker: FakeWorker
) -> None:
    (big,) = [job for job in worker.claim(30) if len(job["items"]) == 100]
    worker.settle(big, release=True)
    bilag.database.sql("select bilag.cancel_export(%s)", big["runId"])
    worker.work()
    assert len(crowd[7].states()) == 100


def test_a_piece_of_which_everything_is_rejected_is_followed_by_the_next_one(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.database.sql(
        "insert into bilag.expense_claims (org_id, claim_number, status, currency)"
        " select %s, 'USD-' || n, 'approved', 'USD' from generate_series(1, 3050) as n",
        org.id,
    )
    bilag.advance(minutes=1)
    org.claim("C-1")
    org.request()
    worker.work()
    assert org.states()["C-1"] == "exported"
    assert org.database.value("select count(*) from bilag.export_items where state = 'rejected'") == 3050


def test_runs_that_start_together_keep_each_its_own_period(bilag: Bilag, worker: FakeWorker) -> None:
    ends = {bilag.organisation(str(day)): date(2026, 3, day) for day in (5, 9, 7)}
    for org, end in ends.items():
        org.configure(posting_date="period_end")
        org.claim("C-1")
        org.request(end)
    assert len(worker.claim(3)) == 3
    posted = dict(bilag.database.sql("select org_id, posting_date from bilag.export_items"))
    assert posted == {org.id: end for org, end in ends.items()}


def test_beside_a_claim_that_somebody_holds_the_others_keep_the_runs_period(
    database: Database, org: Organisation, worker: FakeWorker
) -> None:
    org.configure(posting_date="period_end")
    org.claim("C-1")
    org.claim("C-2")
    org.request(date(2026, 3, 9))
    with two_sessions(database) as (person, _):
        person.run("select 1 from bilag.expense_claims where claim_number = 'C-1' for update")
        worker.claim_one()
        assert database.sql("select posting_date from bilag.export_items") == [(date(2026, 3, 9),)]


def test_a_claim_that_somebody_holds_for_a_moment_goes_with_the_same_run(
    bilag: Bilag, database: Database, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.claim("C-2")
    run = org.request()
    with two_sessions(database) as (person, _):
        person.run("select 1 from bilag.expense_claims where claim_number = 'C-1' for update")
        job = worker.claim_one()
        assert org.states() == {"C-2": "sending"}
        worker.settle(job)
        person.commit()
    bilag.advance(seconds=5)
    worker.work()
    assert org.states() == {"C-1": "exported", "C-2": "exported"}
    assert org.status(run)["status"] == "succeeded"


def test_a_claim_that_somebody_holds_for_long_is_left_for_the_next_run(
    bilag: Bilag, database: Database, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.claim("C-2")
    run = org.request()
    with two_sessions(database) as (person, _):
        person.run("select 1 from bilag.expense_claims where claim_number = 'C-1' for update")
        for _round in range(40):
            worker.work()
            bilag.advance(seconds=3)
            worker.tick()
        assert org.status(run)["status"] == "succeeded"
        person.commit()
    org.request()
    worker.work()
    assert org.states() == {"C-1": "exported", "C-2": "exported"}


def test_a_piece_of_long_claims_has_fewer_of_them(bilag: Bilag, worker: FakeWorker) -> None:
    crowd = [bilag.organisation(str(n)) for n in range(10)]  # which share the lines of one call: 6,000 for each
    for org in crowd:
        org.approve(20 if org is crowd[3] else 1, lines=450)
        org.request()
    jobs = worker.claim(10)
    taken = "select count(*) from bilag.export_items where org_id = %s"
    assert [bilag.database.value(taken, org.id) for org in crowd] == [1, 1, 1, 14, 1, 1, 1, 1, 1, 1]
    for job in jobs:
        following = worker.settle(job)
        while following:
            following = worker.settle(following[0])
    worker.work()
    assert list(crowd[3].states().values()) == ["exported"] * 20
