"""The same on Business Central: an accountant deletes, finance releases and reverses, and questions write nothing."""

from __future__ import annotations

import json
from uuid import UUID

from dev.fakes import Dynamics365Fake, XledgerFake, serving
from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.stories import story
from tests.flow.tenant import ENDED, Tenant

SECRET = "secret-of-business-central"


def organisation(here: Installation, bc: Dynamics365Fake) -> Tenant:
    """A tenant with three claims that are booked in Business Central."""
    company = bc.add_company(SECRET, "BC")
    org = Tenant(here.database, "BC", "Europe/Oslo")
    org.owner = company.code
    org.integration("dynamics365", {"base_url": bc.url, "token_url": bc.token_url, "company_id": company.code})
    org.map("Taxi", "7140", "dynamics365")
    credential = json.dumps({"client_id": bc.client_id(SECRET), "client_secret": SECRET})
    here.database.sql("select bilag.set_integration_credential(%s, 'dynamics365', %s)", org.id, credential)
    org.approve(3)
    return org


def writes(bc: Dynamics365Fake) -> list[str]:
    """The requests that change something; a batch is one when it holds a journal's lines."""
    return [one.operation for one in bc.requests if one.operation.split()[0] in ("POST", "DELETE", "PATCH", "post")]


def shows(here: Installation, claim: UUID, state: str) -> bool:
    return bool(
        here.database.value(
            "select exists (select from bilag.claim_exports where claim_id = %s and state like %s)", claim, state
        )
    )


@story(hasty=True)
def test_business_central_is_asked_released_and_reversed(here: Installation, erp: XledgerFake) -> None:
    with serving(Dynamics365Fake(token=None)) as bc:
        org = organisation(here, bc)
        here.worker()
        org.until_ended(org.request(kind="dynamics365"))
        until("all are booked", lambda: set(org.states("dynamics365").values()) == {"exported"})
        ((claim, first),) = here.database.sql(
            "select claim_id, reference from bilag.claim_exports where org_id = %s order by claim_number limit 1",
            org.id,
        )
        assert bc.accountant.delete_posted(first) == 1
        before = writes(bc)
        assert before
        asked = here.database.value(
            "select bilag.request_reconciliation(%s, 'dynamics365', '2020-01-01', '2100-01-01')", org.id
        )
        until("it ends", lambda: org.status(asked)["status"] in ENDED, told=lambda: str(org.status(asked)))
        assert (org.status(asked)["claims"]["exported"], org.status(asked)["claims"]["rejected"]) == (2, 1)
        assert writes(bc) == before

        here.database.sql("select bilag.release_for_reexport(%s, 'dynamics365', 'deleted')", claim)
        until("it is released", lambda: shows(here, claim, "approved, waits%"))
        org.until_ended(org.request(kind="dynamics365"))
        until("it is booked again", lambda: shows(here, claim, "booked"))
        run = here.database.value("select bilag.reverse_export(%s, 'dynamics365', current_date, 'wrong')", claim)
        assert org.until_ended(run)["status"] == "succeeded"
        until("it is reversed", lambda: shows(here, claim, "reversed%"))
        vouchers = bc.ledger.vouchers(org.owner)
        assert len({voucher.reference for voucher in vouchers}) == len(vouchers) == 4
        assert set(bc.ledger.sums(org.owner).values()) == {-201, 201}
