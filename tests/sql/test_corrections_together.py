"""Two persons who correct one claim at the same time are one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString
from uuid import UUID

import pytest

from tests.fix_bilag import Organisation
from tests.sql.correcting import named, reversal_is_in_hand
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused
from tests.sql.sessions import Session, two_sessions
from tests.sql.vendor_with_memory import DAY, RELEASE, REVERSE, Vendor, export, reference, shown


@pytest.fixture
def vendor(worker: FakeWorker) -> Vendor:
    return Vendor(worker)


@pytest.fixture
def claim(org: Organisation, vendor: Vendor) -> UUID:
    return vendor.book(org)


@pytest.fixture
def persons(org: Organisation) -> Iterator[tuple[Session, Session]]:
    with two_sessions(org.database) as both:
        yield both


@pytest.mark.parametrize("gone", [True, False])
@pytest.mark.parametrize(("first", "second"), [("release", "reverse"), ("reverse", "release"), ("reverse", "reverse"),
                                               ("release", "release")])  # fmt: skip
def test_two_persons_at_once_are_one_after_the_other(
    org: Organisation,
    vendor: Vendor,
    claim: UUID,
    persons: tuple[Session, Session],
    first: str,
    second: str,
    gone: bool,
) -> None:
    verbs: dict[str, tuple[LiteralString, tuple[Any, ...]]] = {
        "release": (RELEASE, (claim,)),
        "reverse": (REVERSE, (claim, DAY)),
    }
    if gone:
        vendor.delete(reference(org))
    one, two = persons
    query, more = verbs[first]
    one.run(query, *more)
    query, more = verbs[second]
    waiting = two.start(query, *more)
    assert two.is_blocked(waiting)
    one.commit()
    if first != second:
        with refused("KB004"):
            waiting.result(timeout=20)
    else:
        waiting.result(timeout=20)
        two.commit()
    vendor.work()
    export(org, vendor)
    expected = {("release", True): [named(org, 2)], ("release", False): [named(org, 1)], ("reverse", True): []}
    mirrored = [named(org, 1), named(org, 1, reversal=True)]
    assert list(vendor.holds) == expected.get((first, gone), mirrored)
    assert set(vendor.posts.values()) == {1}


def test_a_person_who_knows_of_the_reversal_settles_it_while_another_asks_for_it(
    org: Organisation, worker: FakeWorker, vendor: Vendor, claim: UUID, persons: tuple[Session, Session]
) -> None:
    worker.settle(reversal_is_in_hand(org, worker, claim), "unknown", release=True)
    one, two = persons
    one.run("select bilag.resolve_in_doubt(%s, 'xledger', 'booked', 'GL-2')", claim)
    waiting = two.start(REVERSE, claim, DAY)
    assert two.is_blocked(waiting)
    one.commit()
    with refused("KB004", "is reversed already"):
        waiting.result(timeout=20)
    vendor.work()
    assert shown(org)[0] == "reversed by voucher 2"
    assert vendor.posts[named(org, 1, reversal=True)] == 0
