"""What a client is told: status for polling, preview before, report after."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

from tests.fix_bilag import Bilag, Line, Organisation
from tests.sql.fake_worker import FakeWorker
from tests.sql.refusals import refused

KEYS = {
    "runId", "status", "trigger", "retryOf", "periodStart", "periodEnd", "scheduledFor", "startedAt", "finishedAt",
    "nextAttemptAt", "waitingFor", "progress", "claims", "error", "file",
}  # fmt: skip
COUNTS = {"total", "pending", "sending", "accepted", "exported", "rejected", "inDoubt"}


def test_the_status_of_a_run_has_exactly_its_keys_in_every_state(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    run = org.request(date(2026, 3, 31))

    def shape() -> str:
        status = org.status(run)
        assert set(status) == KEYS
        assert set(status["claims"]) == COUNTS
        return str(status["status"])

    assert shape() == "queued"
    job = worker.claim_one()
    assert shape() == "running"
    worker.settle(job, "accepted")
    assert shape() == "waiting"
    org.database.sql("select bilag.cancel_export(%s)", run)
    assert shape() == "cancelled"


def test_a_queued_run_tells_what_was_asked_for_and_waits_for_nothing(org: Organisation) -> None:
    run = org.request(date(2026, 3, 31))
    assert org.status(run) == {
        "runId": str(run), "status": "queued", "trigger": "request", "retryOf": None, "periodStart": None,
        "periodEnd": "2026-03-31", "scheduledFor": None, "startedAt": None, "finishedAt": None, "nextAttemptAt": None,
        "waitingFor": None, "progress": 0, "claims": dict.fromkeys(COUNTS, 0), "error": None, "file": None,
    }  # fmt: skip


def test_progress_counts_what_is_settled(org: Organisation, worker: FakeWorker) -> None:
    org.approve(400)
    run = org.request()
    job = worker.claim_one()
    assert org.status(run)["progress"] == 0
    bad = {job["items"][0]["id"]}
    (job,) = worker.settle(job, lambda item: "rejected" if item["id"] in bad else "exported")
    status = org.status(run)
    assert status["progress"] == 0.625
    assert {name: n for name, n in status["claims"].items() if n} == {
        "total": 400, "exported": 249, "rejected": 1, "sending": 150,
    }  # fmt: skip
    worker.settle(job)
    assert org.status(run)["progress"] == 1


def test_what_a_run_waits_for_is_told_with_since_and_until(bilag: Bilag, org: Organisation) -> None:
    run = org.request()

    def waits() -> tuple[str, str | None] | None:
        waiting = org.status(run)["waitingFor"]
        return waiting and (waiting["reasonCode"], waiting["until"])

    bilag.database.sql("select bilag.pause_integration(%s, 'xledger', 'audit', '2026-03-03 11:00+00')", org.id)
    assert waits() == ("paused_by_person", "2026-03-03T11:00:00+00:00")
    assert org.status(run)["nextAttemptAt"] == "2026-03-03T11:00:00+00:00"
    bilag.database.sql("select bilag.pause_everything('upgrade')")
    assert waits() == ("everything_paused", None)
    bilag.database.sql("select bilag.resume_everything()")
    bilag.database.sql("select bilag.resume_integration(%s, 'xledger')", org.id)
    assert waits() is None


def test_the_file_of_a_run_is_named_with_its_size_and_hash(org: Organisation) -> None:
    run = org.request()
    org.database.sql(
        "insert into bilag.export_files (run_id, org_id, name, media_type, content, sha256)"
        " values (%s, %s, 'march.csv', 'text/csv', 'a;b', sha256('a;b'))",
        run,
        org.id,
    )
    file = org.status(run)["file"]
    assert (file["name"], file["mediaType"], file["bytes"], len(file["sha256"])) == ("march.csv", "text/csv", 3, 64)


def test_a_preview_writes_nothing(org: Organisation) -> None:
    org.claim("C-1")
    connection = org.database.connect()
    connection.execute("set default_transaction_read_only = on")
    row = connection.execute("select bilag.preview_export(%s, 'xledger')", [org.id]).fetchone()
    assert row is not None
    assert row[0]["wouldBook"] == 1
    assert org.states() == {}


def test_a_preview_counts_all_and_shows_as_many_rows_as_asked(org: Organisation) -> None:
    org.approve(20)
    for n in range(3):
        org.claim(f"X-{n}", Line("Sauna", "1"))
    shown = org.preview(limit=2)
    assert (shown["wouldBook"], shown["wouldReject"]) == (20, 3)
    assert [v["claimNumber"] for v in shown["vouchers"]] == ["C-0001", "C-0002"]
    assert [c["claimNumber"] for c in shown["rejected"]] == ["X-0", "X-1"]
    assert {s["account"]: s["amount"] for s in shown["sums"]} == {"7140": "2010.00", "2910": "-2010.00"}


def test_a_preview_with_null_for_a_limit_shows_as_many_as_without_one(org: Organisation) -> None:
    org.approve(101)
    shown = "select jsonb_array_length(bilag.preview_export(%s, 'xledger', row_limit => null) -> 'vouchers')"
    assert org.database.value(shown, org.id) == len(org.preview(limit=100)["vouchers"]) == 100


def test_a_preview_of_a_period_shows_what_that_period_would_take(bilag: Bilag, org: Organisation) -> None:
    org.claim("March")
    bilag.advance(days=40)
    org.claim("April")
    assert [v["claimNumber"] for v in org.preview(date(2026, 3, 31))["vouchers"]] == ["March"]
    assert org.preview()["wouldBook"] == 2


def test_a_preview_shows_what_was_rejected_before_with_the_vendors_reason_until_it_changes(
    org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    worker.settle(worker.claim_one(), {"outcome": "rejected", "message": "Konto sperret"})
    shown = org.preview()
    assert (shown["wouldBook"], shown["rejected"][0]["reason"]) == (0, "Konto sperret")
    org.database.sql("update bilag.account_mappings set account_code = '7199' where category = 'Taxi'")
    assert org.preview()["wouldBook"] == 1


def test_a_report_has_every_line_as_it_was_booked_whatever_changed_since(org: Organisation, worker: FakeWorker) -> None:
    org.map("Hotel", "7130", vat_code="12", dimensions={"PROJECT": "P1"})
    org.claim("C-1", Line("Hotel", "99.9"), Line("Taxi", "0.10"))
    org.claim("C-2")
    run = org.request()
    worker.work()
    org.database.sql("update bilag.account_mappings set account_code = '9999'")
    rows = org.database.sql(
        "select voucher_number, posting_date, account_code, amount, currency, vat_code, claim_number, dimensions,"
        " line_no from bilag.export_report(%s)",
        run,
    )
    day = date(2026, 3, 2)
    assert rows == [
        (1, day, "7130", Decimal("99.90"), "NOK", "12", "C-1", {"PROJECT": "P1"}, 1),
        (1, day, "7140", Decimal("0.10"), "NOK", None, "C-1", {}, 2),
        (1, day, "2910", Decimal("-100.00"), "NOK", None, "C-1", {}, 3),
        (2, day, "7140", Decimal("100.50"), "NOK", None, "C-2", {}, 1),
        (2, day, "2910", Decimal("-100.50"), "NOK", None, "C-2", {}, 2),
    ]


def test_who_may_ask(bilag: Bilag, org: Organisation) -> None:
    run = org.request()
    finance, member, stranger = org.member(), org.member("member"), bilag.organisation("Other").member()

    def ask(person: UUID, query: str) -> None:
        with bilag.database.as_user(person) as connection:
            connection.execute(query.encode(), [run if "run" in query else org.id])

    status, report = "select bilag.export_status(%s) as run", "select * from bilag.export_report(%s) as run"
    preview = "select bilag.preview_export(%s, 'xledger')"
    for query in (status, report, preview):
        ask(finance, query)
        with refused("KB002" if "run" in query else "KB003"):
            ask(stranger, query)
    ask(member, status)
    for query in (report, preview):
        with refused("KB003", "finance_admin"):
            ask(member, query)
