"""Everything at once against the fake Business Central: it may lose nothing, double nothing, and never be half-way."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from dev.fakes import Dynamics365Fake
from tests.dev.bc_client import ANY, SNAPSHOT, BcClient, line, voucher

THREADS = 8


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(THREADS) as found:
        yield found


def test_of_many_posts_at_once_one_books_and_the_others_find_nothing(
    bc: Dynamics365Fake, bc_client: BcClient, pool: ThreadPoolExecutor
) -> None:
    bc.latency = 0.02
    journal = bc_client.journal()
    bc_client.write(journal, *voucher("BL1"), *voucher("BL2", 30_000))
    answers = list(pool.map(lambda _: bc_client.post(journal).status_code, range(THREADS)))
    assert sorted(answers) == [204] + [400] * (THREADS - 1)
    assert (bc.ledger.missing(["BL1", "BL2"]), bc.ledger.doubled()) == ([], {})
    assert bc.most_in_flight > 1


def test_a_write_replayed_by_many_is_written_once(
    bc: Dynamics365Fake, bc_client: BcClient, pool: ThreadPoolExecutor
) -> None:
    journal = bc_client.journal()
    operations = bc_client.adding(journal, *voucher("BL1"))
    answers = list(pool.map(lambda _: bc_client.batch(*operations, headers=SNAPSHOT).json(), range(THREADS)))
    wrote = [one for one in answers if all(inner["status"] == 201 for inner in one["responses"])]
    assert len(wrote) == 1
    assert len(bc_client.lines(journal)) == 2


def test_a_journal_code_goes_to_one_of_many(bc_client: BcClient, pool: ThreadPoolExecutor) -> None:
    made = pool.map(lambda _: bc_client.send("POST", "journals", {"code": "EX"}).status_code, range(THREADS))
    assert sorted(made) == [201] + [400] * (THREADS - 1)


def test_a_post_and_a_deletion_race_and_the_voucher_is_booked_or_gone(
    bc: Dynamics365Fake, bc_client: BcClient, pool: ThreadPoolExecutor
) -> None:
    for turn in range(10):
        journal = bc_client.journal(f"EX{turn}")
        bc_client.write(journal, *voucher(f"BL{turn}"))
        post = pool.submit(bc_client.post, journal)
        delete = pool.submit(bc_client.send, "DELETE", f"journals({journal})", None, ANY)
        assert delete.result(5).status_code == 204
        booked = post.result(5).status_code == 204
        assert bc.ledger.missing([f"BL{turn}"]) == ([] if booked else [f"BL{turn}"])


def test_a_post_in_the_middle_of_chunks_takes_what_is_there_or_refuses(
    bc: Dynamics365Fake, bc_client: BcClient
) -> None:
    """Lines of one voucher in two envelopes: posted between them, the journal is out of balance and stays whole."""
    journal = bc_client.journal()
    debit, credit = voucher("BL1")
    bc_client.write(journal, debit)
    assert bc_client.post(journal).status_code == 400
    bc_client.write(journal, credit)
    assert bc_client.post(journal).status_code == 204
    assert bc.ledger.doubled() == {}


def test_a_voucher_written_twice_under_other_line_numbers_is_told_as_doubled(
    bc: Dynamics365Fake, bc_client: BcClient
) -> None:
    """The document number is not unique (A9): one posting books both copies under it."""
    journal = bc_client.journal()
    bc_client.write(journal, *voucher("BL1"))
    bc_client.write(journal, *voucher("BL1", 30_000))
    bc_client.post(journal)
    assert bc.ledger.doubled() == {"BL1": 2}
    assert len(bc_client.entries("BL1")) == 4


def test_a_voucher_posted_from_two_journals_is_told_as_doubled(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    bc_client.book("BL1", code="A")
    bc_client.book("BL1", code="B")
    assert bc.ledger.doubled() == {"BL1": 2}


def test_a_voucher_in_many_single_requests_is_one_delivery(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    journal = bc_client.journal()
    for one in (*voucher("BL1")[:1], line(11_000, "BL1", "6800", 50), line(20_000, "BL1", "2910", -1300)):
        bc_client.made(f"journals({journal})/journalLines", one)
    bc_client.post(journal)
    assert bc.ledger.doubled() == {}


def test_a_snapshot_that_fails_late_leaves_everything_as_it_was(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    company, journal = f"companies({bc.company.code})", bc_client.journal()
    first, second = (one["body"]["id"] for one in bc_client.write(journal, *voucher("BL1")))
    before, journals = bc_client.lines(journal, expand="dimensionSetLines"), bc_client.ask("journals")
    lines = f"{company}/journals({journal})/journalLines"
    json = {"Content-Type": "application/json"}
    answer = bc_client.batch(
        {"method": "PATCH", "url": f"{lines}({first})", "headers": {**json, **ANY}, "body": {"amount": 7}},
        {"method": "DELETE", "url": f"{lines}({second})", "headers": ANY},
        {
            "method": "POST",
            "url": f"{company}/journalLines({first})/dimensionSetLines",
            "headers": json,
            "body": {"code": "PROJECT", "valueCode": "P-17"},
        },
        {"method": "POST", "url": f"{company}/journals", "headers": json, "body": {"code": "OTHER"}},
        {"method": "PATCH", "url": f"{company}/journals({journal})", "headers": {**json, **ANY}, "body": {"code": "Y"}},
        {"method": "DELETE", "url": f"{company}/journals({journal})", "headers": ANY},
        {"method": "POST", "url": f"{company}/journals", "headers": json, "body": {}},
        headers=SNAPSHOT,
    )
    assert [one["status"] for one in answer.json()["responses"]] == [200, 204, 201, 201, 200, 204, 400]
    assert bc_client.lines(journal, expand="dimensionSetLines") == before
    assert bc_client.ask("journals") == journals


def test_a_deep_insert_that_fails_leaves_no_journal(bc: Dynamics365Fake, bc_client: BcClient) -> None:
    body = {"code": "EX", "journalLines": [*voucher("BL1"), line(50_000, "BL1", "9999", 1)]}
    assert bc_client.refused("POST", "journals", body)[0] == 400
    assert bc.counts() == {"journals": 0, "journalLines": 0}
    bc_client.made("journals", {**body, "journalLines": voucher("BL1")})
    assert bc.counts() == {"journals": 1, "journalLines": 2}


@pytest.mark.parametrize("fault", ["commit_then_reset", "commit_then_status", "truncate_next", "flood_next"])
def test_a_post_whose_answer_is_lost_is_found_by_its_document(
    bc: Dynamics365Fake, bc_client: BcClient, fault: str
) -> None:
    journal = bc_client.journal()
    bc_client.write(journal, *voucher("BL1"))
    getattr(bc, fault)(on="post")
    try:
        bc_client.post(journal)
    except httpx.TransportError:
        assert fault == "commit_then_reset"
    assert len(bc_client.entries("BL1")) == 2
    assert bc_client.post(journal).status_code == 400


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_the_ledger_and_the_journals_hold_each_voucher_once(
    bc: Dynamics365Fake, bc_client: BcClient, pool: ThreadPoolExecutor, seed: int
) -> None:
    """Clients that never send a voucher twice, against cuts, failures, posts and accountants in any order."""
    chance = random.Random(seed)  # noqa: S311  # a story, not a secret
    story = [(number, chance.random()) for number in range(1, 61)]
    journals = [bc_client.journal(f"EX{n}") for n in range(3)]
    bc.accountant.add_line("EX0", "HAND", "7790", "1.00")

    def act(number: int, kind: float) -> None:
        journal = journals[number % 3]
        if kind < 0.5:
            operations = bc_client.adding(journal, *voucher(f"BL{number}", number * 20_000))
            bc_client.batch(*operations, headers=SNAPSHOT)
        elif kind < 0.8:
            bc_client.post(journal)
        elif kind < 0.9:
            bc.cut_next(on="post")
        else:
            bc.accountant.delete_lines(f"BL{number - 3}")

    def quietly(turn: tuple[int, float]) -> None:
        try:
            act(*turn)
        except httpx.TransportError:
            return

    list(pool.map(quietly, story))
    bc.clear_faults()
    assert (bc.ledger.doubled(), bc.ledger.unbalanced()) == ({}, [])
    waiting = {row["documentNumber"] for journal in journals for row in bc_client.lines(journal)}
    assert not waiting & set(bc.ledger.by_reference())
    numbers = [entry.entry_id for booked in bc.ledger.raw() for entry in booked.entries]
    assert len(numbers) == len(set(numbers))
