"""The storm: short in ``make test``, long in ``make chaos`` (``BILAG_CHAOS=long``; ``BILAG_CHAOS_SEED`` repeats it)."""

from __future__ import annotations

import os
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from dev.fakes.remote import RemoteFake, running
from dev.postgres import throw_away
from tests.chaos import LONG
from tests.chaos.proxy import Proxy
from tests.chaos.storm import Storm
from tests.chaos.weather import DYNAMICS365, XLEDGER, Weather
from tests.fix_flow import scaled_template
from tests.flow import systems
from tests.flow.books import Verdict
from tests.flow.installation import beside_process
from tests.flow.systems import System
from tests.flow.tenant import Sturdy

SEED = int(os.environ.get("BILAG_CHAOS_SEED", "20260302"))
KILLS, OUTAGES, WORKERS, ORGANISATIONS = (320, 48, 4, 24) if LONG else (9, 4, 2, 4)
CALM_SECONDS = 240
OUTAGE_KINDS = ("database crashed", "database restarted", "cable cut", "cable cut after a commit")


@dataclass(frozen=True)
class Side:
    """The accounting system on the other side, and its weather."""

    system: System
    weather: Weather
    share: float
    """Of the kills and outages. What is left of the time goes into mischief: a vendor with more calls has more ways."""
    mischief: float
    """Per kill."""


SIDES = [Side(systems.XLEDGER, XLEDGER, 1.0, 1 / 3), Side(systems.BUSINESS_CENTRAL, DYNAMICS365, 0.5, 5)]


@pytest.mark.parametrize("side", SIDES, ids=lambda side: side.system.key)
def test_no_claim_is_lost_and_none_is_doubled_whatever_is_killed_crashed_or_cut(
    side: Side, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    began, kills, least_outages = time.monotonic(), round(KILLS * side.share), round(OUTAGES * side.share)
    with (
        # Its crashes are the server's and not the machine's: syncing to disk proves nothing here, and takes minutes.
        throw_away(ours=True) as server,
        running("--import-delay", "0.3", "--latency", "0.05") as base,
    ):
        erp = RemoteFake(base, side.system.key)
        database = Sturdy(server, server.create_database("storm", scaled_template(server)))
        database.sql("update bilag.retry_schedule set wait = '1 second'")
        here = beside_process(database, tmp_path, erp, side.system.connecting(erp.url, erp.state()))
        here.hurry()
        here.small_batches(5)
        with Proxy(database.dsn) as cable:
            chance = random.Random(SEED)  # noqa: S311 - a seed is the point
            storm = Storm(here, erp, cable, chance, WORKERS, side.weather)
            try:
                for n in range(ORGANISATIONS):
                    here.organisation(f"Lag {n}", claims=20).insert_run()
                storm.rage(kills, least_outages, round(kills * side.mischief))
                storm.calm(CALM_SECONDS)
                verdict = here.verdict()
                alerts = here.alerts()
            finally:
                here.close()
    outages = sum(storm.figures[kind] for kind in OUTAGE_KINDS)
    with capsys.disabled():
        tell(side.system.key, storm, verdict, outages, time.monotonic() - began)
    assert verdict.is_right, verdict
    assert "doubled" not in alerts
    assert storm.figures["kills"] >= kills * 0.9
    assert outages >= least_outages * 0.9


def tell(kind: str, storm: Storm, verdict: Verdict, outages: int, seconds: float) -> None:
    """The figures of the storm."""
    lines = [
        "",
        f"  {kind}, seed {SEED}, {WORKERS} workers, {ORGANISATIONS} organisations, {seconds:.0f} s",
        f"  kills {storm.figures['kills']} · restarts and cuts {outages} · sessions cut {storm.cable.cuts}",
        f"  vouchers {verdict.booked} · rejected {verdict.rejected}",
        f"  lost {len(verdict.lost)} · doubled {len(verdict.doubled)} · in doubt {len(verdict.unsettled)}",
        *(f"    {count:4} {name}" for name, count in sorted(storm.figures.items())),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
