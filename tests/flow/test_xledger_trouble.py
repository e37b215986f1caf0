"""What Xledger leaves open, told with it: what a refusal keeps, whom it means, and how it says that a token is none."""

from __future__ import annotations

from dev.fakes import XledgerFake
from tests.fix_bilag import Line
from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.stories import story

WRITE = "addGLImportItems"


@story()
def test_what_a_refused_batch_left_behind_is_found_and_never_sent_beside_it(
    here: Installation, erp: XledgerFake
) -> None:
    """Whether a refusal keeps the rows before the bad one is documented nowhere: here it does."""
    erp.atomicity = "partial"
    org = here.organisation(claims=9)
    org.map("Yacht", "9876")
    org.claim("C-0005x", Line("Yacht", "1.00"))
    run = org.request()
    here.worker()
    org.until_state("exported", 9)
    until("its half is found", lambda: "import_error" in here.alerts())
    assert (org.states()["C-0005x"], org.status(run)["claims"]["rejected"]) == ("accepted", 0)
    assert erp.calls[WRITE] == 1
    reference = here.database.value("select reference from bilag.claim_exports where claim_number = 'C-0005x'")
    erp.accountant.delete_queued(reference)
    here.look_now()
    assert org.until_ended(run)["status"] == "partially_succeeded"
    assert org.states()["C-0005x"] == "rejected"
    here.database.sql("update bilag.account_mappings set account_code = '7140' where category = 'Yacht'")
    assert org.until_ended(org.request())["status"] == "succeeded"
    assert here.verdict().is_right


@story()
def test_one_bad_voucher_of_five_hundred_that_the_system_does_not_name_costs_at_most_twenty_calls(
    here: Installation, erp: XledgerFake
) -> None:
    """A look-up is one call, though what is not there is looked for in two requests."""
    erp.unwanted_text = "Bort!"
    org = here.organisation(claims=125)
    org.claim("C-0000", Line("Taxi", "1.00", description=erp.unwanted_text))
    org.approve(374, "D")
    run = org.request()
    here.worker()
    status = org.until_ended(run)
    assert (status["status"], status["claims"]["exported"]) == ("partially_succeeded", 499)
    assert {number for number, state in org.states().items() if state == "rejected"} == {"C-0000"}
    assert here.verdict().is_right
    calls = here.database.value(
        "select count(*) from bilag.integration_run_logs where operation in ('post', 'find') and org_id = %s", org.id
    )
    assert calls <= 20, calls


@story()
def test_a_token_that_is_revoked_in_the_middle_leaves_nothing_in_doubt_and_the_next_one_books_the_rest(
    here: Installation, erp: XledgerFake
) -> None:
    erp.unauthorized_status = 200
    here.small_batches(5)
    org = here.organisation(claims=20)
    erp.latency = 0.2
    run = org.request()
    here.worker()
    org.until_state("accepted", 5)
    entity = erp.owner_of(org.token)
    erp.revoke_token(org.token)
    until("the alert is open", lambda: "credential" in here.alerts())
    assert "in_doubt" not in org.states().values()
    org.token = f"another-{org.token}"
    erp.issue_token(org.token, entity)
    here.give_credential(org)
    assert org.until_ended(run)["status"] == "succeeded"
    assert here.verdict().is_right
