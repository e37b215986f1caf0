"""What people at a shell ask and decide."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from tests.fix_bilag import Bilag, Line, Organisation
from tests.fix_postgres import Database as Installed
from tests.fix_shell import Shell
from tests.sql.fake_worker import FakeWorker


@pytest.mark.parametrize("column", ["id", "org_number", "external_id"])
def test_an_organisation_is_named_by_id_number_or_external_id(
    bilag_shell: Shell, org: Organisation, column: str
) -> None:
    org.database.sql("update bilag.organizations set org_number = '971524553', external_id = 'nordlys'")
    named = {"id": str(org.id), "org_number": "971524553", "external_id": "nordlys"}[column]
    assert bilag_shell("preview", named, "xledger", "--json").json["wouldBook"] == 0


def test_an_unknown_organisation_or_type_is_one_sentence(bilag_shell: Shell, org: Organisation) -> None:
    said = bilag_shell("export", "nobody", "xledger")
    assert said.err == "bilag: There is no organisation 'nobody': give its id, org_number or external_id.\n"
    wrong = bilag_shell("export", str(org.id), "abacus")
    assert (wrong.code, wrong.err.count("\n")) == (1, 1)
    assert "abacus" in wrong.err


def test_preview_shows_what_would_be_booked_and_rejected(bilag_shell: Shell, org: Organisation) -> None:
    org.claim("C-1")
    org.claim("C-2", Line("Unheard of", "10"))
    said = bilag_shell("preview", str(org.id), "xledger")
    assert "1 claims would be booked, 1 rejected." in said.out
    assert "mapping_missing" in said.out
    assert org.states() == {}


def test_export_queues_a_run_and_says_so(bilag_shell: Shell, org: Organisation) -> None:
    said = bilag_shell("export", str(org.id), "xledger", "--period-end", "2026-02-28", "--json")
    assert said.code == 0
    assert (said.json["status"], said.json["periodEnd"]) == ("queued", "2026-02-28")


@pytest.mark.parametrize(("category", "status", "code"), [("Taxi", "succeeded", 0), ("Unheard of", "failed", 1)])
def test_export_wait_ends_with_the_run_and_is_0_only_if_it_succeeded(
    bilag_shell: Shell, org: Organisation, worker: FakeWorker, category: str, status: str, code: int
) -> None:
    org.claim("C-1", Line(category, "10"))
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(0.05):
            worker.work()

    background = threading.Thread(target=work)
    background.start()
    try:
        said = bilag_shell("export", str(org.id), "xledger", "--wait", "--json")
    finally:
        ended.set()
        background.join()
    assert (said.json["status"], said.code) == (status, code)


def test_claim_tells_its_story(bilag_shell: Shell, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    worker.work()
    said = bilag_shell("claim", str(org.id), "C-1")
    assert "approved" in said.out
    assert "booked" in said.out
    assert len(bilag_shell("claim", str(org.id), "C-1", "--json").json) == len(said.out.splitlines())


def test_status_shows_what_is_there(bilag_shell: Shell, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.request()
    found = bilag_shell("status", "--json").json
    assert set(found) == {"integrations", "queues", "runs", "alerts", "workers"}
    assert found["runs"][0]["status"] == "queued"
    drawn = bilag_shell("status")
    assert drawn.code == 0
    assert "Testlaget" in drawn.out


def test_a_secret_is_read_from_stdin_and_never_shown(bilag_shell: Shell, org: Organisation) -> None:
    said = bilag_shell("secret", "set", str(org.id), "xledger", stdin="a-very-secret-token\n")
    assert (said.code, said.out) == (0, "The credential of xledger is set.\n")
    assert org.database.value("select decrypted_secret from vault.decrypted_secrets") == "a-very-secret-token"


def test_a_secret_is_not_taken_from_an_argument(bilag_shell: Shell, org: Organisation) -> None:
    assert bilag_shell("secret", "set", str(org.id), "xledger", "a-very-secret-token").code == 2


def test_an_empty_secret_is_refused(bilag_shell: Shell, org: Organisation) -> None:
    said = bilag_shell("secret", "set", str(org.id), "xledger")
    assert (said.code, said.err.startswith("bilag: The secret is empty.")) == (1, True)


def buried(database: Installed, worker: FakeWorker) -> int:
    """A dead letter's id."""
    database.sql("select pgmq.send('bilag_exports', '{\"x\": 1}')")
    worker.claim()
    return int(database.value("select id from bilag.dead_letters"))


def test_dead_letters_are_listed_and_discarded(bilag_shell: Shell, bilag: Bilag, worker: FakeWorker) -> None:
    letter = buried(bilag.database, worker)
    assert bilag_shell("dead-letters", "list", "--json").json[0]["reason_code"] == "message_means_nothing"
    assert "message_means_nothing" in bilag_shell("dead-letters", "list").out
    assert bilag_shell("dead-letters", "discard", str(letter), "--reason", "a test sent it").code == 0
    assert bilag_shell("dead-letters", "list").out == "There are no dead letters.\n"


def test_letters_are_discarded_without_a_reason_of_ones_own(
    bilag_shell: Shell, bilag: Bilag, worker: FakeWorker
) -> None:
    letter = buried(bilag.database, worker)
    assert bilag_shell("dead-letters", "discard", str(letter), "--json").json == [{"id": letter, "done": "discarded"}]
    assert bilag_shell("dead-letters", "list", "--json").json == []


def test_the_letter_of_a_run_is_redriven(
    bilag_shell: Shell, bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    run = org.request()
    for _ in range(11):
        worker.claim()
        bilag.advance(seconds=61)
    letter = bilag.database.value("select id from bilag.dead_letters")
    told = bilag_shell("dead-letters", "redrive", str(letter)).out
    again = bilag.database.value("select id from bilag.export_runs where retry_of = %s", run)
    assert told == f"{letter}: run {again}\n"


@pytest.mark.parametrize(
    "since", ["2026-03-02T10:00:00", "2026-03-02 10:00:00", "2026-03-02T11:00:00+01:00", "2026-03-02T10:00:00Z"]
)
def test_after_a_restore_an_operator_says_since_when(
    bilag_shell: Shell, bilag: Bilag, org: Organisation, worker: FakeWorker, since: str
) -> None:
    org.claim("C-1")
    org.request()
    bilag.advance(minutes=5)
    told = bilag_shell("recover", "--since", since, "--json").json
    assert (told["claims"], datetime.fromisoformat(told["since"])) == (1, datetime(2026, 3, 2, 10, tzinfo=UTC))
    assert bilag.database.value("select recover_since from bilag.installation") == datetime(2026, 3, 2, 10, tzinfo=UTC)
    assert "1 approved claims" in bilag_shell("recover", "--since", since).out
    assert worker.claim_one()["kind"] == "find"


@pytest.mark.parametrize(("since", "code"), [("2999-01-01", 1), ("yesterday", 2)])
def test_a_moment_that_cannot_be_is_refused_in_one_sentence(
    bilag_shell: Shell, bilag: Bilag, since: str, code: int
) -> None:
    said = bilag_shell("recover", "--since", since)
    assert said.code == code
    assert "Traceback" not in said.err


def test_what_means_nothing_cannot_be_redriven(bilag_shell: Shell, bilag: Bilag, worker: FakeWorker) -> None:
    said = bilag_shell("dead-letters", "redrive", str(buried(bilag.database, worker)))
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert bilag_shell("dead-letters", "redrive", "4711").code == 1


def test_an_integration_or_everything_is_paused_and_resumed(
    bilag_shell: Shell, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    for words in ([str(org.id), "xledger"], ["--everything"]):
        assert bilag_shell("pause", *words, "--reason", "the auditor is here").code == 0
        assert worker.claim() == []
        assert bilag_shell("resume", *words).code == 0
    assert len(worker.claim()) == 1
