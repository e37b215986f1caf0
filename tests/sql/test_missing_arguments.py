"""A null where a value belongs, as an unset variable of an application sends it: what is answered says what was null.

Every function that people may call is found in the catalogue and tried, so one that is added tomorrow is tried too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest

from tests.fix_bilag import Bilag
from tests.sql.fake_worker import FakeWorker
from tests.sql.verbs import verbs


@pytest.fixture
def known(bilag: Bilag, worker: FakeWorker) -> dict[str, str]:
    """What a call may rightly name: an organisation with a claim in doubt, and its run."""
    org = bilag.organisation("Ours")
    claim = org.claim("C-1")
    run = org.request()
    worker.settle(worker.claim_one(), "unknown")
    return {"org_id": str(org.id), "claim_id": str(claim), "run_id": str(run)}


def refusals(bilag: Bilag, known: dict[str, str]) -> Iterator[tuple[str, psycopg.errors.Diagnostic]]:
    """What the owner, who may call everything, is told for each function with each of its arguments null in turn."""
    connection = bilag.database.connect()
    for verb in verbs(bilag.database):
        for position, name in enumerate(verb.names):
            statement, values = verb.call(known)
            values[position] = None
            try:
                with connection.transaction(force_rollback=True):
                    connection.execute(statement.encode(), values)
            except psycopg.Error as error:
                yield f"{verb.name} without {name}", error.diag


def test_a_null_is_refused_in_a_whole_sentence_that_says_what_to_do(bilag: Bilag, known: dict[str, str]) -> None:
    told = list(refusals(bilag, known))
    for call, answer in told:
        sentence = answer.message_primary or ""
        assert (answer.sqlstate or "").startswith("KB"), (call, answer.sqlstate, sentence)
        assert sentence.endswith("."), (call, sentence)
        assert re.search(r"\s[\s.;]", sentence) is None, (call, sentence, "there is a hole in it")
        assert answer.message_hint, (call, sentence)
    assert len(told) > 60
