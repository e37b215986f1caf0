"""The vocabulary: every code that the verbs use is in it, and every sentence can be filled in."""

from __future__ import annotations

import re

from psycopg.types.json import Jsonb

from tests.fix_postgres import Database
from tests.sql.rooms import rooms


def tell(catalogue: Database, code: str, params: dict[str, object] | None) -> str | None:
    said = catalogue.value("select bilag_internal.tell(%s, %s)", code, Jsonb(params) if params is not None else None)
    assert said is None or isinstance(said, str)
    return said


def test_a_sentence_is_filled_in(catalogue: Database) -> None:
    told = tell(catalogue, "currency_unsupported", {"currency": "EUR", "ledgerCurrency": "NOK"})
    assert told == "The claim is in EUR, but this integration books NOK only."


def test_a_missing_or_null_parameter_leaves_a_sentence_and_an_unknown_code_none(catalogue: Database) -> None:
    assert tell(catalogue, "mapping_missing", {"category": None}) == "No account is mapped for category ."
    assert tell(catalogue, "no_lines", None) == "The claim has no lines."
    assert tell(catalogue, "nonsense", {}) is None


def test_every_alert_that_a_verb_raises_has_a_kind(catalogue: Database) -> None:
    text = "\n".join(rooms().values())
    raised = set(re.findall(r"(?:raise|resolve)_alert\(\s*'(\w+)'", text))
    assert len(raised) >= 6
    known = {kind for (kind,) in catalogue.sql("select kind from bilag.alert_kinds")}
    assert raised <= known


def test_every_reason_that_a_verb_tells_or_stores_is_known(catalogue: Database) -> None:
    text = "\n".join(text for name, text in rooms().items() if name > "1")
    told = set(re.findall(r"\btell\('(\w+)'", text))
    told |= set(re.findall(r"(?:reason_code|'reasonCode')(?: :?=|,) '(\w+)'", text))
    assert len(told) >= 8
    known = {code for (code,) in catalogue.sql("select reason_code from bilag.reasons")}
    assert told <= known


def test_every_reason_has_a_sentence_and_something_to_do(catalogue: Database) -> None:
    rows = catalogue.sql("select reason_code, sentence, what_to_do from bilag.reasons")
    assert len(rows) > 40
    for code, sentence, what_to_do in rows:
        assert re.fullmatch(r"[a-z_]+", code)
        assert sentence[0].isupper(), code
        assert re.search(r"[.}]$", sentence), code
        assert what_to_do.endswith("."), code


def test_the_vocabulary_of_the_public_surface_is_there(catalogue: Database) -> None:
    named = {"mapping_missing", "account_unknown", "period_closed", "currency_unsupported"}
    known = {code for (code,) in catalogue.sql("select reason_code from bilag.reasons")}
    assert named <= known
