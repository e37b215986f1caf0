"""No credential is left anywhere, whatever goes wrong: canaries go through everything, then everything is searched."""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from dev.fakes import Dynamics365Fake, XledgerFake, serving
from dev.postgres import throw_away
from tests.chaos.weather import LET_TIME_PASS
from tests.fix_flow import installed, scaled_template
from tests.flow.canaries import Sinks, canary, forms
from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.tenant import Tenant
from worker.credentials import fallback_variable

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


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_no_credential_is_left_anywhere(tmp_path: Path, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    with (
        throw_away(ours=True) as server,
        installed(server, scaled_template(server), tmp_path) as (here, erp),
        serving(Dynamics365Fake(token=None)) as bc,
    ):
        here.hurry()
        birds = of_xledger(here, erp, "With a token"), of_business_central(here, bc, "With a client's secret")
        for bird in birds:
            bird.give()
        spare = of_xledger(here, erp, "From the environment")
        sinks = Sinks(here)
        environment = {
            "BILAG_LOG_LEVEL": "debug",
            "BILAG_HTTP_PORT": str(port),
            "BILAG_CREDENTIAL_FALLBACK": "env",
            fallback_variable(spare.org.lane): spare.secret,
        }
        page = f"http://127.0.0.1:{port}"
        with sinks.watching(f"{page}/metrics", f"{page}/livez", f"{page}/readyz"):
            worker = here.worker(**environment)
            spare.fly(0, lambda: None)
            go_through(here, *birds)
            here.database.sql("select pgmq.send('bilag_exports', %s::jsonb)", '{"integration_id": "no id"}')
            until("it is a dead letter", lambda: here.database.value("select count(*) from bilag.dead_letters"))
            assert worker.stop() == 0
        assert spare.is_booked(), "the emergency credential was used"
        sinks.print_by(os.environ | {"DATABASE_URL": here.database.dsn}, str(birds[0].org.id))
        sinks.gather(tmp_path)
        secrets = {bird.kind + str(bird.org.id): bird.secret for bird in (*birds, spare)}
        secrets |= {f"bearer {n}": token for n, token in enumerate(bc.entra.tokens, 1)}
        sinks.keep("control", "".join(secrets.values()).encode())
        hits = sinks.hits(secrets)
        assert {name for sink, name, _ in hits if sink == "control"} == set(secrets), "the search finds what is there"
        assert not (found := [hit for hit in hits if hit[0] != "control"]), found[:10]
        with capsys.disabled():
            sys.stdout.write(f"\n  canaries: {sinks.told(secrets)}, found nowhere\n")


@pytest.mark.parametrize(
    "write",
    [
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: base64.urlsafe_b64encode(b"id:" + text.encode() + b":").decode(),
        lambda text: base64.b64encode(b"Basic" + text.encode()).decode(),
        lambda text: f"https://x.example/?token={quote_plus(text)}&x",
        lambda text: json.dumps({"Authorization": f"token {text}"}),
        lambda text: text.encode().hex(),
        lambda text: text[:30] + "…",
        lambda text: "…" + text[-30:],
    ],
)
def test_a_canary_is_recognised_however_it_is_written(write: Callable[[str], str]) -> None:
    secret = canary()
    assert any(form in write(secret).encode() for form in forms(secret))
    assert not any(form in write(canary()).encode() for form in forms(secret))
