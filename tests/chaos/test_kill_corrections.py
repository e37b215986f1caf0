"""SIGKILL of a real worker at every step of a reversal or a release: the mirror is booked once, the claim goes once."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from dev.fakes import XledgerFake
from tests.chaos.obstacles import ITEMS, SECRETS, WRITE, locked, ready, stuck_in
from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.stories import story
from tests.flow.tenant import Tenant

LOOK = "glImportItems"


def booked(here: Installation) -> tuple[Tenant, UUID]:
    """An organisation with one claim, which is in the ledger."""
    org = here.organisation(claims=1)
    worker = here.worker()
    org.until_ended(org.request())
    here.until_right()
    worker.kill()
    return org, here.database.value("select id from bilag.expense_claims where org_id = %s", org.id)


def reverse(here: Installation, claim: UUID) -> UUID:
    run = here.database.value("select bilag.reverse_export(%s, 'xledger', current_date, 'wrong')", claim)
    assert isinstance(run, UUID)
    return run


def reversed_by_another(here: Installation, erp: XledgerFake, org: Tenant, run: UUID) -> None:
    """In the end the ledger has the voucher and its mirror, each once, and they sum to nothing."""
    here.worker()
    assert org.until_ended(run)["status"] == "succeeded"
    times = Counter(voucher.reference for voucher in erp.ledger.vouchers(org.owner))
    assert sorted(times.values()) == [1, 1]
    assert set(erp.ledger.sums(org.owner).values()) == {0}
    org.until_ended(org.request())
    assert len(erp.ledger.vouchers(org.owner)) == 2


def until_in_hand(here: Installation) -> None:
    until(
        "the reversal is marked",
        lambda: here.database.value(
            "select exists (select from bilag.export_items where reverses is not null and state = 'sending')"
        ),
    )


@story(hasty=True)
def test_killed_while_it_looks_at_the_original(here: Installation, erp: XledgerFake) -> None:
    org, claim = booked(here)
    unlucky = ready(here)
    with locked(here, SECRETS):
        run = reverse(here, claim)
        stuck_in(here, "read_credential")
        unlucky.kill()
    reversed_by_another(here, erp, org, run)


@story(hasty=True)
def test_killed_while_it_settles_what_it_saw_of_the_original(here: Installation, erp: XledgerFake) -> None:
    org, claim = booked(here)
    run = reverse(here, claim)
    held = erp.hold_next(on=LOOK)
    unlucky = here.worker()
    assert held.arrived.wait(120)
    with locked(here, ITEMS):
        held.release()
        stuck_in(here, "settle_exports")
        unlucky.kill()
    reversed_by_another(here, erp, org, run)


@story(hasty=True)
def test_killed_while_the_mirror_is_on_the_way_and_never_arrives(here: Installation, erp: XledgerFake) -> None:
    org, claim = booked(here)
    run = reverse(here, claim)
    held = erp.hold_next(on=WRITE)
    unlucky = here.worker()
    assert held.arrived.wait(120)
    until_in_hand(here)
    unlucky.kill()
    held.drop()
    reversed_by_another(here, erp, org, run)


@story(hasty=True)
def test_killed_after_the_mirror_was_booked_and_before_the_answer(here: Installation, erp: XledgerFake) -> None:
    org, claim = booked(here)
    run = reverse(here, claim)
    held = erp.hold_next(on=WRITE)
    unlucky = here.worker()
    assert held.arrived.wait(120)
    unlucky.kill()
    held.release()
    reversed_by_another(here, erp, org, run)
    assert erp.calls[WRITE] == 2


@story(hasty=True)
def test_killed_in_the_middle_of_settling_the_mirror(here: Installation, erp: XledgerFake) -> None:
    org, claim = booked(here)
    run = reverse(here, claim)
    held = erp.hold_next(on=WRITE)
    unlucky = here.worker()
    assert held.arrived.wait(120)
    with locked(here, ITEMS):
        held.release()
        stuck_in(here, "settle_exports")
        unlucky.kill()
    reversed_by_another(here, erp, org, run)
    assert erp.calls[WRITE] == 2


@story(hasty=True)
def test_killed_while_it_looks_whether_a_voucher_is_gone(here: Installation, erp: XledgerFake) -> None:
    org, claim = booked(here)
    reference = erp.ledger.vouchers(org.owner)[0].reference
    erp.accountant.delete_posted(reference)
    unlucky = ready(here)
    with locked(here, SECRETS):
        here.database.sql("select bilag.release_for_reexport(%s, 'xledger', 'deleted')", claim)
        stuck_in(here, "read_credential")
        unlucky.kill()
    unlucky = here.worker()
    until("it is released", lambda: org.count("voided"))
    unlucky.kill()
    org.request()
    here.worker()
    assert here.until_right().booked == 1
    assert erp.ledger.vouchers(org.owner)[0].reference != reference
