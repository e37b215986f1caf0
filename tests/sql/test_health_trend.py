"""A day of a connection in one line."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fix_bilag import Bilag, Organisation
from tests.sql.health_worker import DEAD, WELL, HealthWorker, health_worker


@pytest.fixture
def watch(bilag: Bilag) -> HealthWorker:
    return health_worker(bilag)


def past(org: Organisation, minutes_ago: int, status: str = "healthy", latency: int | None = 100) -> None:
    org.database.sql(
        "insert into bilag.health_check_history (org_id, integration_type, status, latency_ms, checked_at)"
        " values (%s, 'xledger', %s, %s, bilag_internal.now() - make_interval(mins => %s))",
        org.id,
        status,
        latency,
        minutes_ago,
    )


def trend(bilag: Bilag) -> dict[str, Any]:
    return dict(bilag.database.value("select to_jsonb(t) from bilag.health_trend t"))


def test_a_day_without_a_check_is_one_long_gap(bilag: Bilag, org: Organisation) -> None:
    found = trend(bilag)
    assert (found["trend"], found["marks"]) == (" " * 96, " " * 96)
    assert (found["status"], found["availability"], found["latency_p50_ms"], found["checks"]) == (None, None, None, 0)


def test_a_full_day_has_96_cells_and_no_gap(bilag: Bilag, org: Organisation, watch: HealthWorker) -> None:
    bilag.advance(minutes=15)
    for _ in range(96 * 15 + 20):
        bilag.advance(minutes=1)
        bilag.advance(seconds=1)  # so that each round comes a little late, as it does
        if bilag.database.value(
            "select exists (select from bilag_internal.health_rounds where due_at <= bilag_internal.now())"
        ):
            watch.round(WELL)
    found = trend(bilag)
    assert found["marks"] == "h" * 96
    assert (found["availability"], found["status"], found["latency_p50_ms"]) == (100, "healthy", 42)


def test_the_latest_is_on_the_right_and_a_gap_is_a_gap(bilag: Bilag, org: Organisation) -> None:
    past(org, 5)
    past(org, 20, "degraded")
    past(org, 65, "unreachable", None)
    past(org, 24 * 60 - 5)
    assert trend(bilag)["marks"] == "h" + " " * 90 + "uuudh"


def test_while_a_failing_connection_is_asked_more_rarely_it_is_unreachable_not_unknown(
    bilag: Bilag, org: Organisation, watch: HealthWorker
) -> None:
    for _ in range(60 * 6):
        bilag.advance(minutes=1)
        watch.round(DEAD)
    found = trend(bilag)
    assert found["marks"].strip() == "u" * len(found["marks"].strip())
    assert found["availability"] == 0
    assert found["checks"] < 8


def test_the_worst_check_of_a_quarter_is_shown(bilag: Bilag, org: Organisation) -> None:
    for minutes_ago, status in ((3, "healthy"), (5, "unreachable"), (7, "healthy"), (20, "healthy"), (25, "degraded")):
        past(org, minutes_ago, status)
    found = trend(bilag)
    assert found["marks"].strip() == "du"
    assert found["availability"] == 83.3  # two of three in one quarter, both in the other


def test_the_blocks_are_higher_the_slower_it_answered(bilag: Bilag, org: Organisation) -> None:
    for minutes_ago, latency in ((5, 800), (20, 400), (35, 10)):
        past(org, minutes_ago, "healthy", latency)
    past(org, 50, "unreachable", None)
    assert trend(bilag)["trend"][-4:] == "×▁▄█"


def test_availability_is_of_what_is_known_and_percentiles_of_what_answered(bilag: Bilag, org: Organisation) -> None:
    for n in range(20):
        past(org, 5 + 15 * n, "healthy" if n >= 5 else "unreachable", 10 * n if n >= 5 else None)
    found = trend(bilag)
    assert found["availability"] == 75
    assert (found["latency_p50_ms"], found["latency_p95_ms"], found["checks"]) == (120, 190, 20)


def test_members_see_their_own_trend_and_overview_has_one_line_per_integration(bilag: Bilag, org: Organisation) -> None:
    other = bilag.organisation("Other")
    past(other, 5)
    for one in (org, other):
        with bilag.database.as_user(one.member("member")) as connection:
            assert connection.execute("select org_id from bilag.health_trend").fetchall() == [(one.id,)]
            assert connection.execute("select org_id from bilag.overview").fetchall() == [(one.id,)]


def test_what_is_disabled_or_passive_says_so(bilag: Bilag, org: Organisation) -> None:
    for change, mode in (("health_mode = 'passive'", "passive"), ("enabled = false", "disabled")):
        bilag.database.connect().execute(f"update bilag.integration_config set {change}".encode())
        assert trend(bilag)["health_mode"] == mode
