"""A batch takes many steps into Business Central. A worker dies, freezes or loses its line at each of them; another one
goes on; and at the worst moments an accountant posts every journal that was left. Each claim is booked once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dev.fakes import Dynamics365Fake
from dev.fakes.faults import Hold
from tests.chaos.obstacles import ITEMS, SECRETS, locked, ready, stuck_in
from tests.flow.books import Verdict
from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.processes import WorkerProcess
from tests.flow.stories import story
from tests.flow.systems import BUSINESS_CENTRAL
from tests.flow.tenant import Tenant

CLAIMS = 12
CREATE, LINES, POST, TIDY = "POST journals", "$batch", "post", "DELETE journals"
STEPS = {"survey": "GET $batch", "create": CREATE, "lines": LINES, "read_back": "GET journalLines", "post": POST}


def left_standing(bc: Dynamics365Fake) -> list[str]:
    """The codes of journals in which something stands."""
    return [
        journal.code
        for company in bc.companies.values()
        for journal in company.journals.values()
        if any(not line.is_blank for line in journal.in_order())
    ]


def post_leftovers(bc: Dynamics365Fake) -> None:
    """The accountant tidies up: whatever stands in any journal is posted."""
    with bc.ledger.lock:
        for code in left_standing(bc):
            bc.accountant.post_journal(code)


def patient(here: Installation) -> Tenant:
    """Many requests make a batch: on a slow machine they need longer than one, and are tried again soon.

    A write is begun only if the lease covers all of it, so the lease is well longer than the longest write.
    """
    longer = {"BILAG_LEASE_SECONDS": "14", "BILAG_HTTP_TIMEOUT_SECONDS": "6", "BILAG_DELIVERY_SECONDS": "40"}
    here.pace = {**here.pace, **longer}
    here.database.sql("update bilag.retry_schedule set wait = '1 second'")
    return here.organisation(claims=CLAIMS)


def under_way(here: Installation, bc: Dynamics365Fake, step: str) -> tuple[WorkerProcess, Hold]:
    """A worker whose request of this step is held inside Business Central."""
    org = patient(here)
    held = bc.hold_next(on=step)
    org.request()
    worker = here.worker()
    assert held.arrived.wait(120)
    return worker, held


def right_in_the_end(here: Installation, bc: Dynamics365Fake, claims: int = CLAIMS) -> Verdict:
    """Everything is booked once, and stays so when the accountant posts what is left."""
    verdict = here.until_right()
    assert verdict.booked == claims
    post_leftovers(bc)
    assert here.verdict() == verdict
    assert "doubled" not in here.alerts()
    return verdict


def stand_of(here: Installation) -> str:
    runs = here.database.sql("select status, due_at::text, error ->> 'message' from bilag.export_runs")
    items = here.database.sql(
        "select state, attempt, vehicle, next_look_at::text, message, count(*)"
        " from bilag.export_items group by 1, 2, 3, 4, 5"
    )
    return f"{runs} {items}"


def killed(step: str, *, executed: bool, accountant: bool) -> Callable[[Installation, Dynamics365Fake], None]:
    def tell(here: Installation, bc: Dynamics365Fake) -> None:
        unlucky, held = under_way(here, bc, step)
        unlucky.kill()
        if executed:
            held.release()
            assert held.committed.wait(10)
        else:
            held.drop()
        if accountant:
            post_leftovers(bc)
        here.worker()
        right_in_the_end(here, bc)

    return tell


def taken_over(step: str, *, accountant: bool) -> Callable[[Installation, Dynamics365Fake], None]:
    """The worker stands still until another one has looked and sent anew; only then its request is executed."""

    def tell(here: Installation, bc: Dynamics365Fake) -> None:
        frozen, held = under_way(here, bc, step)
        frozen.freeze()
        here.worker()
        until("the other one has booked them", lambda: len(bc.ledger.vouchers()) >= CLAIMS, told=lambda: stand_of(here))
        held.release()
        assert held.committed.wait(10)
        if accountant:
            post_leftovers(bc)
        frozen.thaw()
        right_in_the_end(here, bc)

    return tell


def cut(step: str) -> Callable[[Installation, Dynamics365Fake], None]:
    def tell(here: Installation, bc: Dynamics365Fake) -> None:
        bc.commit_then_reset(on=step)
        patient(here).request()
        here.worker()
        right_in_the_end(here, bc)

    return tell


def stories() -> Iterator[tuple[str, Callable[[Installation, Dynamics365Fake], None]]]:
    for name, step in STEPS.items():
        for executed in (True, False):
            told = "executed" if executed else "never_executed"
            yield f"killed_at_{name}_{told}", killed(step, executed=executed, accountant=False)
        yield f"killed_at_{name}_then_all_that_is_left_is_posted", killed(step, executed=True, accountant=True)
    for name in ("create", "lines", "post"):
        yield f"cut_after_{name}", cut(STEPS[name])
        yield f"frozen_at_{name}_and_thawed_too_late", taken_over(STEPS[name], accountant=False)
        yield f"frozen_at_{name}_and_all_that_is_left_is_posted", taken_over(STEPS[name], accountant=True)
    yield "killed_while_it_tidies_up", killed(TIDY, executed=True, accountant=True)


for _name, _tell in stories():
    _tell.__name__ = f"test_{_name}"
    globals()[_tell.__name__] = story(hasty=True, system=BUSINESS_CENTRAL)(_tell)


@story(hasty=True, system=BUSINESS_CENTRAL)
def test_killed_after_the_mark_and_before_anything(here: Installation, bc: Dynamics365Fake) -> None:
    org = patient(here)
    unlucky = ready(here)
    with locked(here, SECRETS):
        org.request()
        org.until_state("sending", CLAIMS)
        stuck_in(here, "read_credential")
        unlucky.kill()
    here.worker()
    right_in_the_end(here, bc)
    assert bc.calls[POST] == 1


@story(hasty=True, system=BUSINESS_CENTRAL)
def test_killed_in_the_middle_of_settling(here: Installation, bc: Dynamics365Fake) -> None:
    unlucky, held = under_way(here, bc, TIDY)
    with locked(here, ITEMS):
        held.release()
        stuck_in(here, "settle_exports")
        unlucky.kill()
    here.worker()
    right_in_the_end(here, bc)
    assert bc.calls[POST] == 1
