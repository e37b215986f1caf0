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

from dev.fakes import Dynamics365Fake, serving
from dev.postgres import throw_away
from tests.fix_flow import installed, scaled_template
from tests.flow.birds import go_through, of_business_central, of_xledger
from tests.flow.canaries import Sinks, canary, forms
from tests.flow.patience import until
from worker.credentials import fallback_variable


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
