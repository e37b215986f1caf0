"""An accounting system that behaves as badly as one can: what it booked is found, and nothing is sent on a guess."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from dev.fakes import XledgerFake
from tests.chaos.obstacles import WRITE
from tests.fix_bilag import Line
from tests.flow.installation import Installation
from tests.flow.stories import story

LOOK = "glImportItems"


@story(hasty=True)
def test_spoilt_answers_to_a_write_are_never_a_reason_to_send_again(here: Installation, erp: XledgerFake) -> None:
    spoilers: list[tuple[Any, dict[str, Any]]] = [
        (erp.flood_next, {"megabytes": 10}),
        (erp.drip_next, {"seconds": 0.2, "pieces": 60}),
        (erp.duplicate_next, {}),
        (erp.reorder_next, {}),
        (erp.truncate_next, {}),
        (erp.answer_200_with_errors, {"message": "Internal error", "commit": True}),
    ]
    for n, (spoil, arguments) in enumerate(spoilers):
        spoil(**arguments, on=WRITE)
        here.organisation(f"Lag {n}", claims=4).request()
    here.worker()
    assert here.until_right().booked == 4 * len(spoilers)
    assert erp.calls[WRITE] == len(spoilers)


@story(hasty=True)
def test_spoilt_answers_to_a_look_up_prove_nothing(here: Installation, erp: XledgerFake) -> None:
    erp.commit_then_hang(times=5, on=WRITE)
    for spoil in (erp.truncate_next, erp.duplicate_next, erp.reorder_next, erp.flood_next):
        spoil(on=LOOK)
    erp.fail_next(200, on=LOOK, body="<html>We will be back soon</html>")
    for n in range(5):
        here.organisation(f"Lag {n}", claims=4).request()
    here.worker()
    assert here.until_right().booked == 20
    assert erp.calls[WRITE] == 5


@story(hasty=True)
def test_a_storm_of_rate_limits_delays_and_rejects_nothing(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation(claims=4)
    erp.fail_next(429, times=3, after=1, on=WRITE)
    erp.rate_limit_storm(times=3, on=WRITE)
    run = org.request()
    here.worker()
    here.live_on(run, org)
    assert here.verdict().is_right
    assert here.verdict().booked == 4


@story(hasty=True)
def test_maintenance_for_hours_is_survived(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation(claims=4)
    erp.maintenance(200)
    run = org.request()
    worker = here.worker()
    here.live_through(timedelta(hours=5))
    assert not erp.ledger.vouchers()
    assert org.status(run)["status"] == "failed", "a run waits for what is in doubt for an hour; its looks go on"
    assert set(org.states().values()) == {"in_doubt"}
    erp.maintenance_over()
    here.live_through(timedelta(hours=7))
    assert set(org.states().values()) == {"voided"}, "looked for, and not there"
    erp.clock.advance(timedelta(hours=12))  # it lived through the same hours
    here.live_on(org.request(), org)
    assert here.verdict().is_right
    assert here.verdict().booked == 4
    assert worker.alive


@story(hasty=True)
def test_a_nul_in_the_words_about_one_of_a_hundred_vouchers_loses_no_outcome(
    here: Installation, erp: XledgerFake
) -> None:
    org = here.organisation(claims=99)
    org.map("Mystery", "9999")
    org.claim("BAD", Line("Mystery", "10.00"))
    message = "account.code: No value matching owner 1, code '9999'.\x00 Sorry\x00"
    erp.answer_200_with_errors(message=message, on=WRITE)
    org.request()
    here.worker()
    verdict = here.until_right()
    assert (verdict.booked, verdict.rejected) == (99, 1)
    told = here.database.sql("select claim_number, reason from bilag.claim_exports where state = 'rejected'")
    assert told == [("BAD", message.replace("\x00", "\ufffd"))]


@story(hasty=True)
def test_a_nul_in_an_error_that_names_no_voucher_rejects_none(here: Installation, erp: XledgerFake) -> None:
    org = here.organisation(claims=100)
    erp.answer_200_with_errors(message="Something\x00 is wrong", on=WRITE)
    org.request()
    here.worker()
    assert here.until_right().booked == 100
