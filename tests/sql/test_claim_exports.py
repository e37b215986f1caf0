"""How each claim stands, in plain words: for finance, and for the claimant."""

from __future__ import annotations

from tests.fix_bilag import Bilag, Line, Organisation
from tests.sql.fake_worker import FakeWorker


def states(org: Organisation) -> dict[str, str]:
    return dict(org.database.sql("select claim_number, state from bilag.claim_exports where org_id = %s", org.id))


def test_a_claimant_sees_how_their_own_claims_stand_and_not_what_was_said_of_them(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    claimant = org.member("member")
    for number, line in (("booked", Line("Taxi", "100.50")), ("rejected", Line("Sauna", "1"))):
        org.claim(number, line, claimant_user_id=claimant)
    excluded = org.claim("excluded", claimant_user_id=claimant)
    bilag.database.sql("select bilag.exclude_claim(%s, 'xledger', 'suspicious')", excluded)
    org.claim("another's")
    org.request()
    worker.work()
    columns = "claim_number, state, voucher_number, amount::text, reason_code, reason, reason_params, reference, run"
    with bilag.database.as_user(claimant) as connection:
        rows = connection.execute(f"select {columns} from bilag.claim_exports order by 1".encode()).fetchall()
    assert rows == [
        ("booked", "booked", 2, "100.50", None, None, None, None, None),
        ("excluded", "excluded by a person", None, None, "excluded", None, None, None, None),
        ("rejected", "rejected", None, "1.00", "mapping_missing", None, None, None, None),
    ]


def test_a_claimant_who_is_finance_admin_sees_each_claim_once(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    claimant = org.member()
    org.claim("C-1", claimant_user_id=claimant)
    org.request()
    worker.work()
    with bilag.database.as_user(claimant) as connection:
        rows = connection.execute("select claim_number, external_id is not null from bilag.claim_exports").fetchall()
    assert rows == [("C-1", True)]


def test_each_claim_has_one_row_in_plain_words(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("early", approved_at="2026-01-01")
    org.claim("draft", status="draft")
    excluded, elsewhere = org.claim("excluded"), org.claim("elsewhere")
    bilag.database.sql("select bilag.exclude_claim(%s, 'xledger', 'private')", excluded)
    bilag.database.sql("select bilag.mark_booked(%s, 'xledger', 'V-1', null)", elsewhere)
    org.claim("unmapped", Line("Sauna", "1"))
    outcomes = {"exported": "exported", "accepted": "accepted", "doubtful": "unknown", "refused": "rejected"}
    for number in outcomes:
        org.claim(number)
    org.request()
    worker.settle(worker.claim_one(), lambda item: outcomes[item["voucher"]["claimNumber"]])
    org.claim("waits")
    assert states(org) == {
        "early": "approved before export_from: not ours", "excluded": "excluded by a person",
        "elsewhere": "booked elsewhere", "unmapped": "rejected", "exported": "booked",
        "accepted": "accepted, not yet seen in the ledger", "doubtful": "in doubt: being looked up",
        "refused": "rejected", "waits": "approved, waits for the next export",
    }  # fmt: skip


def test_a_rejected_claim_says_why_and_what_to_do(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1", Line("Sauna", "1"))
    org.request()
    worker.work()
    row = org.database.sql("select reason_code, reason_params, reason, what_to_do from bilag.claim_exports")
    assert row == [
        (
            "mapping_missing", {"category": "Sauna"}, "No account is mapped for category Sauna.",
            "Insert a row into bilag.account_mappings for it; the next export takes the claim.",
        )
    ]  # fmt: skip


def test_a_booked_claim_shows_its_voucher(org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    run = org.request()
    worker.settle(worker.claim_one(), {"outcome": "exported", "externalId": "GL-1"})
    row = org.database.sql("select voucher_number, external_id, amount::text, currency, run from bilag.claim_exports")
    assert row == [(1, "GL-1", "100.50", "NOK", run)]
