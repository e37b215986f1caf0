"""Who watches sees no person: an observer of all tenants and a member of one read all that they can, and no name.

What they may read is found in the catalogue, column by column, so that a table of tomorrow is read too.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.fix_bilag import Bilag, Line, Organisation
from tests.fix_postgres import Connection
from tests.sql.fake_worker import FakeWorker

NAME, ERRAND, AMOUNT, REFERENCE = "Kari Hemmelig", "to the clinic", "4321.99", "K-REF-17"
PERSONAL = (NAME, ERRAND, AMOUNT, "4321", REFERENCE, "files.example")


def readable(connection: Connection) -> str:
    """Everything that the caller can select, as one text."""
    columns = connection.execute(
        "select c.relname, string_agg(quote_ident(a.attname), ', ' order by a.attnum) from pg_class c"
        " join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped"
        " where c.relnamespace = 'bilag'::regnamespace and c.relkind in ('r', 'v')"
        " and has_column_privilege(c.oid, a.attnum, 'select') group by 1 order by 1"
    ).fetchall()
    assert len(columns) > 20
    read = "select coalesce(string_agg(t::text, '|'), '') from (select {} from bilag.{}) as t"
    return "".join(
        f"\n{name}: {connection.execute(read.format(names, name).encode()).fetchone()}" for name, names in columns
    )


@pytest.fixture
def busy(bilag: Bilag, org: Organisation, worker: FakeWorker) -> Organisation:
    """A claim of one person in every state there is, and a vendor that repeats what it was sent."""
    person: dict[str, Any] = {
        "claimant_name": NAME, "claimant_reference": REFERENCE, "claimant_user_id": uuid4(),
        "documentation_url": "https://files.example/kari",
    }  # fmt: skip
    outcomes = {"exported": "exported", "accepted": "accepted", "doubtful": "unknown", "refused": "rejected"}
    outcomes |= {"F-7": "import_error"}
    for number in (*outcomes, "excluded", "unmapped"):
        category = "Sauna" if number == "unmapped" else "Taxi"
        claim = org.claim(number, Line(category, AMOUNT, description=f"{NAME} {ERRAND}"), **person)
        if number == "excluded":
            org.database.sql("select bilag.exclude_claim(%s, 'xledger', %s)", claim, f"{NAME} asked")
    org.request()

    def told(item: Any) -> dict[str, Any]:
        number = item["voucher"]["claimNumber"]
        first = "accepted" if outcomes[number] == "import_error" else outcomes[number]
        return {"outcome": first, "message": f"Text '{NAME} {ERRAND}' of {AMOUNT} for {REFERENCE}."}

    worker.settle(worker.claim_one(), told)
    for _ in range(6):
        bilag.advance(days=2)
        for job in worker.claim():
            worker.settle(job, lambda item: {
                "outcome": "import_error" if item["voucher"]["claimNumber"] == "F-7" else "unknown",
                "message": f"Text '{NAME} {ERRAND}' of {AMOUNT} for {REFERENCE}."})  # fmt: skip
    worker.tick()
    return org


def test_an_observer_reads_no_person_text_or_amount(bilag: Bilag, busy: Organisation) -> None:
    with bilag.database.as_user(uuid4(), "bilag_observer") as connection:
        text = readable(connection)
    assert "claim doubtful" in text, "they do see which claim is stuck"
    for personal in PERSONAL:
        assert personal not in text, [line for line in text.splitlines() if personal in line]


def test_a_member_reads_no_other_persons_claim(bilag: Bilag, busy: Organisation) -> None:
    with bilag.database.as_user(busy.member("member")) as connection:
        text = readable(connection)
    for personal in (*PERSONAL, "F-7"):
        assert personal not in text, [line for line in text.splitlines() if personal in line]


def test_finance_reads_it_all(bilag: Bilag, busy: Organisation) -> None:
    with bilag.database.as_user(busy.member()) as connection:
        text = readable(connection)
    for personal in PERSONAL:
        assert personal in text
