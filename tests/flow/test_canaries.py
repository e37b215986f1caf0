"""No credential is left anywhere, whatever goes wrong: canaries go through everything, then everything is searched."""

from __future__ import annotations

import base64
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from dev.fakes import XledgerFake
from dev.postgres import throw_away
from tests.chaos.weather import LET_TIME_PASS
from tests.fix_flow import installed, scaled_template
from tests.flow.canaries import Sinks, canary, forms
from tests.flow.installation import Installation
from tests.flow.patience import until
from tests.flow.tenant import Tenant
from worker.credentials import fallback_variable

WRITE = "addGLImportItems"
WAKE = "select bilag_internal.wake_lanes(array(select l.integration_id from bilag.export_lanes l))"

RETRY = """
select bilag.retry_export(r.id) from bilag.export_runs r
where r.org_id = %s and r.status = 'failed' and not exists (
  select from bilag.export_runs x where x.retry_of = r.id)"""
UNDER_WAY = """
select r.id from bilag.export_runs r
join bilag.integration_config c on c.id = r.integration_id and c.paused_at is null
where r.org_id = %s and r.finished_at is null"""


def plays(erp: XledgerFake, token: str) -> dict[str, Callable[[], None]]:
    """Each fault of the dial, and the vendor repeating in its answer what it was sent."""
    echoed = {"variables": {"token": token}, "headers": {"Authorization": f"token {token}"}}
    return {
        "success": lambda: None,
        "header in an error page": lambda: erp.echo_authorization(status=500),
        "header in a refusal": lambda: erp.echo_authorization(status=422, on=WRITE),
        "header in a redirect": lambda: erp.answer_next(302, {}, headers={"location": f"https://x.example/?t={token}"}),
        "variables in an error": lambda: erp.answer_200_with_errors(f"Bad variables: {echoed}", on=WRITE),
        "an error that says nothing": lambda: erp.answer_200_with_errors(token, commit=True, on=WRITE),
        "an object in place of a list": lambda: erp.answer_next(200, {"errors": echoed}, on=WRITE),
        "no JSON": lambda: erp.fail_next(200, body=f"<pre>{token}</pre>"),
        "503 with a page": lambda: erp.fail_next(503, body=f"<pre>{token}</pre>"),
        "429": lambda: erp.fail_next(429, after=1),
        "commit then hang": lambda: erp.commit_then_hang(on=WRITE),
        "commit then reset": lambda: erp.commit_then_reset(on=WRITE),
        "commit then 504": lambda: erp.commit_then_status(504, on=WRITE),
        "late commit": lambda: erp.commit_after(3.4, on=WRITE),
        "cut": erp.cut_next,
        "hang": erp.hang_next,
        "truncated": erp.truncate_next,
        "flood": lambda: erp.flood_next(10),
        "drip": lambda: erp.drip_next(0.2, 50),
        "duplicated": erp.duplicate_next,
        "reordered": erp.reorder_next,
        "refused": lambda: erp.answer_next(401, {"message": f"token {token} is wrong"}),
    }


def go_through(here: Installation, erp: XledgerFake, org: Tenant) -> None:
    for n, (name, play) in enumerate(plays(erp, org.token).items()):
        org.approve(2, prefix=f"P{n}")
        play()
        org.insert_run()
        until(f"{name} happened", lambda: not erp.unused() and is_quiet(here, org), 60, told=lambda: str(erp.unused()))
    give(here, org)  # a refused credential pauses
    until("all is booked", lambda: is_quiet(here, org) and here.verdict().is_right, told=lambda: str(here.verdict()))


def is_quiet(here: Installation, org: Tenant) -> bool:
    """Whether nothing is to come by itself. What waits is due now, and what failed is asked for again."""
    database = here.database
    database.sql(LET_TIME_PASS)
    database.sql(WAKE)
    here.tick()
    database.sql(RETRY, org.id)
    return database.sql(UNDER_WAY, org.id) == []


def give(here: Installation, org: Tenant) -> None:
    here.database.sql("select bilag.set_integration_credential(%s, 'xledger', %s)", org.id, org.token)


def tenant_with(here: Installation, erp: XledgerFake, name: str, token: str) -> Tenant:
    org = here.organisation(name, credential=False)
    org.token = token
    org.owner = erp.add_owner(token, name).code
    return org


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_no_credential_is_left_anywhere(tmp_path: Path, port: int, capsys: pytest.CaptureFixture[str]) -> None:
    with throw_away(ours=True) as server, installed(server, scaled_template(server), tmp_path) as (here, erp):
        here.hurry()
        org = tenant_with(here, erp, "From Vault", canary())
        give(here, org)
        spare = tenant_with(here, erp, "From the environment", canary())
        spare.approve(2)
        secrets = {"token": org.token, "token from the environment": spare.token}
        sinks = Sinks(here)
        environment = {
            "BILAG_LOG_LEVEL": "debug",
            "BILAG_HTTP_PORT": str(port),
            "BILAG_CREDENTIAL_FALLBACK": "env",
            fallback_variable(spare.lane): spare.token,
        }
        page = f"http://127.0.0.1:{port}"
        with sinks.watching(f"{page}/metrics", f"{page}/livez", f"{page}/readyz"):
            worker = here.worker(**environment)
            spare.insert_run()
            go_through(here, erp, org)
            here.database.sql("select pgmq.send('bilag_exports', %s::jsonb)", '{"integration_id": "no id"}')
            until("it is a dead letter", lambda: here.database.value("select count(*) from bilag.dead_letters"))
            assert worker.stop() == 0
        assert erp.ledger.vouchers(spare.owner), "the emergency credential was used"
        run_as = {
            **os.environ,
            "DATABASE_URL": here.database.dsn,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        sinks.print_by(run_as, str(org.id))
        sinks.gather(tmp_path)
        sinks.keep("control", org.token.encode())
        hits = sinks.hits(secrets)
        assert [hit for hit in hits if hit[0] == "control"], "the search finds what is there"
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
