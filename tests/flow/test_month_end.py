"""Month-end with an accountant who deletes: it is noticed, released, exported again, reversed; the month closes."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from dev.fakes import XledgerFake
from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.stories import story
from tests.flow.tenant import ENDED, Tenant

WRITE = "addGLImportItems"


def month(org: Tenant) -> dict[str, Any]:
    """The summary of the year around now, in which every voucher of a story falls."""
    return dict(
        org.database.value(
            "select bilag.period_summary(%s, 'xledger', (now() - interval '200 days')::date,"
            " (now() + interval '200 days')::date)",
            org.id,
        )
    )


def reconciled(org: Tenant) -> dict[str, Any]:
    """A reconciliation of the same period, at its end."""
    made = org.database.value(
        "select bilag.request_reconciliation(%s, 'xledger', (now() - interval '200 days')::date,"
        " (now() + interval '200 days')::date)",
        org.id,
    )
    until(
        "the reconciliation ends",
        lambda: org.status(made)["status"] in ENDED,
        told=lambda: str(org.database.value("select bilag.reconciliation_status(%s)", made)),
    )
    return dict(org.database.value("select bilag.reconciliation_status(%s)", made))


def booked_claim(here: Installation, org: Tenant) -> tuple[UUID, str]:
    """One of the claims, and its reference."""
    ((claim, reference),) = here.database.sql(
        "select claim_id, reference from bilag.claim_exports where org_id = %s order by claim_number limit 1", org.id
    )
    return claim, reference


def shows(here: Installation, claim: UUID, state: str) -> bool:
    return bool(
        here.database.value(
            "select exists (select from bilag.claim_exports where claim_id = %s and state like %s)", claim, state
        )
    )


def the_deletion_is_noticed(here: Installation, erp: XledgerFake, org: Tenant, reference: str) -> None:
    assert erp.accountant.delete_posted(reference) == 1
    found = reconciled(org)
    assert (found["vouchers"]["vanished"], found["findings"][0]["reference"]) == (1, reference)
    assert "voucher_vanished" in here.alerts()
    assert [reason["code"] for reason in month(org)["reasons"]] == ["vouchers_vanished"]


def finance_releases_it_and_it_is_exported_again(here: Installation, org: Tenant, claim: UUID, first: str) -> None:
    here.database.sql("select bilag.release_for_reexport(%s, 'xledger', 'deleted by the accountant')", claim)
    until("the claim is released", lambda: shows(here, claim, "approved, waits%"))
    assert "voucher_vanished" not in here.alerts()
    org.until_ended(org.request())
    assert here.until_right().booked == 12
    assert booked_claim(here, org)[1] != first
    assert month(org)["readyToClose"] is True


def a_reversal_books_the_mirror(here: Installation, erp: XledgerFake, org: Tenant, claim: UUID) -> None:
    run = here.database.value("select bilag.reverse_export(%s, 'xledger', current_date, 'paid privately')", claim)
    assert org.until_ended(run)["status"] == "succeeded"
    until("it is reversed", lambda: shows(here, claim, "reversed by voucher%"))
    told = month(org)
    assert (told["readyToClose"], told["booked"]["count"], told["reversed"]["count"]) == (True, 11, 1)
    assert told["ledger"] == {"count": 13, "sums": {"NOK": "1105.50"}}
    assert erp.ledger.sums(org.owner) == {"2910": Decimal("-1105.50"), "7140": Decimal("1105.50")}


@story()
def test_what_an_accountant_deleted_is_noticed_released_exported_again_and_reversed_and_the_month_closes(
    here: Installation, erp: XledgerFake
) -> None:
    org = here.organisation(claims=12)
    here.small_batches(5)
    here.worker()
    assert "claims_waiting" in [reason["code"] for reason in month(org)["reasons"]]
    org.until_ended(org.request())
    assert here.until_right().booked == 12
    assert month(org)["readyToClose"] is True
    writes = erp.calls[WRITE]
    assert reconciled(org)["vouchers"]["standing"] == 12
    assert erp.calls[WRITE] == writes, "a reconciliation writes nothing"
    claim, first = booked_claim(here, org)
    the_deletion_is_noticed(here, erp, org, first)
    finance_releases_it_and_it_is_exported_again(here, org, claim, first)
    a_reversal_books_the_mirror(here, erp, org, claim)
    org.until_ended(org.request())
    assert len(erp.ledger.vouchers(org.owner)) == 13
    assert reconciled(org)["vouchers"]["standing"] == 13


@story()
def test_a_reconciliation_waits_for_a_system_that_is_down_and_a_killed_worker_loses_no_question(
    here: Installation, erp: XledgerFake
) -> None:
    org = here.organisation(claims=12)
    here.small_batches(5)
    worker = here.worker()
    org.until_ended(org.request())
    here.until_right()
    erp.maintenance(retry_after="1")
    made = org.database.value(
        "select bilag.request_reconciliation(%s, 'xledger', (now() - interval '200 days')::date,"
        " (now() + interval '200 days')::date)",
        org.id,
    )
    until("it waits", lambda: (org.status(made)["waitingFor"] or {}).get("reasonCode") == "retry_later", 60)
    worker.kill()
    erp.maintenance_over()
    here.worker()
    until("nobody has the lane", lambda: not here.leased())
    here.database.advance(timedelta(minutes=3))
    here.tick()
    until("it ends", lambda: org.status(made)["status"] in ENDED, told=lambda: str(org.status(made)))
    assert org.status(made)["claims"]["exported"] == 12
