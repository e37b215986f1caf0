"""Organisations whose credentials are canaries, and every fault that an accounting system can have in their way."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dev.fakes import Dynamics365Fake, XledgerFake
from tests.chaos.weather import LET_TIME_PASS
from tests.flow.canaries import canary
from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.tenant import Tenant

WAKE = "select bilag_internal.wake_lanes(array(select l.integration_id from bilag.export_lanes l))"
GIVE = "select bilag.set_integration_credential(%s, %s, %s)"
REQUEST = "insert into bilag.export_runs (org_id, integration_type) values (%s, %s)"
RETRY = """
select bilag.retry_export(r.id) from bilag.export_runs r
where r.org_id = %s and r.status = 'failed' and not exists (
  select from bilag.export_runs x where x.retry_of = r.id)"""
UNDER_WAY = """
select r.id from bilag.export_runs r
join bilag.integration_config c on c.id = r.integration_id and c.paused_at is null
where r.org_id = %s and r.finished_at is null"""


def plays(erp: XledgerFake | Dynamics365Fake, token: str, write: str) -> dict[str, Callable[[], None]]:
    """Each fault of the dial, and the vendor repeating in its answer what it was sent."""
    refusals = 2 if isinstance(erp, Dynamics365Fake) else 1  # an access token is asked for again once
    echoed = {"variables": {"token": token}, "headers": {"Authorization": f"token {token}"}}
    return {
        "success": lambda: None,
        "header in an error page": lambda: erp.echo_authorization(status=500),
        "header in a refusal": lambda: erp.echo_authorization(status=422, on=write),
        "header in a redirect": lambda: erp.answer_next(302, {}, headers={"location": f"https://x.example/?t={token}"}),
        "variables in an error": lambda: erp.answer_next(200, errors_of(f"Bad variables: {echoed}"), on=write),
        "an error that says nothing": lambda: erp.answer_next(200, errors_of(token), commit=True, on=write),
        "an object in place of a list": lambda: erp.answer_next(200, {"errors": echoed, "error": echoed}, on=write),
        "no JSON": lambda: erp.fail_next(200, body=f"<pre>{token}</pre>"),
        "503 with a page": lambda: erp.fail_next(503, body=f"<pre>{token}</pre>"),
        "429": lambda: erp.fail_next(429, after=1),
        "commit then hang": lambda: erp.commit_then_hang(on=write),
        "commit then reset": lambda: erp.commit_then_reset(on=write),
        "commit then 504": lambda: erp.commit_then_status(504, on=write),
        "late commit": lambda: erp.commit_after(3.4, on=write),
        "cut": erp.cut_next,
        "hang": erp.hang_next,
        "truncated": erp.truncate_next,
        "flood": lambda: erp.flood_next(10),
        "drip": lambda: erp.drip_next(0.2, 50),
        "duplicated": erp.duplicate_next,
        "reordered": erp.reorder_next,
        "refused": lambda: erp.answer_next(401, {"message": f"token {token} is wrong"}, times=refusals),
    }


def errors_of(message: str) -> dict[str, object]:
    """An error in a 200, as either system words it."""
    return {"errors": [{"message": message, "code": "BAD"}], "error": {"code": "BAD", "message": message}}


@dataclass(frozen=True)
class Bird:
    """An organisation whose credential is a canary. ``secret`` is what is in it, ``credential`` what Vault is given."""

    org: Tenant
    kind: str
    fake: XledgerFake | Dynamics365Fake
    write: str
    secret: str
    credential: str

    def give(self) -> None:
        self.org.database.sql(GIVE, self.org.id, self.kind, self.credential)

    def fly(self, n: int, play: Callable[[], None]) -> None:
        self.org.approve(2, prefix=f"P{n}")
        play()
        self.org.database.sql(REQUEST, self.org.id, self.kind)

    def has_landed(self, here: Installation) -> bool:
        """Whether the fault happened, and nothing is to come by itself. What failed is asked for again."""
        here.database.sql(RETRY, self.org.id)
        return not self.fake.unused() and here.database.sql(UNDER_WAY, self.org.id) == []

    def is_booked(self) -> bool:
        return set(self.org.states(self.kind).values()) == {"exported"}


def go_through(here: Installation, *birds: Bird) -> None:
    """Every fault, to all systems at once, for most of them are waited for."""
    for n, flights in enumerate(
        zip(*(plays(bird.fake, bird.secret, bird.write).items() for bird in birds), strict=True)
    ):
        for bird, (_, play) in zip(birds, flights, strict=True):
            bird.fly(n, play)
        wait(f"{flights[0][0]} happened", here, lambda: all(bird.has_landed(here) for bird in birds), birds)
    for bird in birds:
        bird.give()  # a refused credential pauses
    wait("all is booked", here, lambda: all(bird.has_landed(here) and bird.is_booked() for bird in birds), birds)


def wait(what: str, here: Installation, look: Callable[[], bool], birds: Sequence[Bird]) -> None:
    """Look until it is so, with whatever waits due at once."""

    def pressed() -> bool:
        here.database.sql(LET_TIME_PASS)
        here.database.sql(WAKE)
        here.tick()
        return look()

    until(what, pressed, 90, told=lambda: str([(bird.fake.unused(), bird.org.states(bird.kind)) for bird in birds]))


def of_xledger(here: Installation, erp: XledgerFake, name: str) -> Bird:
    token = canary()
    org = here.organisation(name, credential=False)
    org.token, org.owner = token, erp.add_owner(token, name).code
    return Bird(org, "xledger", erp, "addGLImportItems", token, token)


def of_business_central(here: Installation, bc: Dynamics365Fake, name: str) -> Bird:
    secret = canary()
    company = bc.add_company(secret, name)
    org = Tenant(here.database, name, "Europe/Oslo")
    where = {"base_url": bc.url, "token_url": bc.token_url, "company_id": company.code}
    org.integration("dynamics365", where)
    org.map("Taxi", "7140", "dynamics365")
    credential = json.dumps({"client_id": bc.client_id(secret), "client_secret": secret})
    return Bird(org, "dynamics365", bc, "$batch", secret, credential)
