"""What people type reaches the ledger as it is, or is refused by name: nothing is lost, doubled or held up by it."""

from __future__ import annotations

from dev.fakes import XledgerFake
from tests.fix_bilag import Line
from tests.flow.installation import Installation
from tests.flow.stories import story
from tests.sql.test_hostile import TEXTS


@story()
def test_hostile_texts_go_to_the_ledger_and_stop_nobody(here: Installation, erp: XledgerFake) -> None:
    org, other = here.organisation("Odd", claims=20), here.organisation("Plain", claims=20)
    for name, text in TEXTS.items():
        columns = {"claimant_name": text, "claimant_reference": text[:90], "documentation_url": text}
        org.claim(f"T-{name}", Line("Taxi", "12.34", description=text), Line("Taxi", "1", description=text), **columns)
        org.claim(text[:90], Line("Taxi", "5.67"))
    org.claim("long", *[Line("Taxi", "0.01", description=f"line {n}") for n in range(10_000)])
    runs = [org.request(), other.request()]
    here.worker()
    ended = [tenant.until_ended(run, seconds=120)["status"] for tenant, run in zip((org, other), runs, strict=True)]
    assert ended == ["partially_succeeded", "succeeded"], "only what is too long for one call is refused"
    verdict = here.until_right()
    assert (verdict.booked, verdict.rejected) == (40 + 2 * len(TEXTS), 1)
