"""The numbers that a Prometheus exporter reads: named as it wants them, right, and without a tenant in them."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

from tests.fix_bilag import Bilag, Line, Organisation
from tests.sql.fake_worker import FakeWorker


def measured(bilag: Bilag) -> dict[tuple[str, tuple[Any, ...]], float]:
    rows = bilag.database.sql("select name, labels, value from bilag.metrics")
    found = {(name, tuple(labels[key] for key in sorted(labels))): value for name, labels, value in rows}
    assert len(found) == len(rows), "a name with its labels is there once"
    return found


def test_names_and_labels_are_prometheus_and_none_is_a_tenants(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    org.claim("C-1")
    org.request()
    worker.tick()
    bilag.database.sql("select bilag.set_webhook('https://hooks.example.com/', 'a secret of 24 characters or more')")
    rows = bilag.database.sql("select name, labels, value from bilag.metrics")
    for name, labels, value in rows:
        assert re.fullmatch(r"bilag_[a-z_]+[a-z]", name)
        assert not name.endswith("_total"), "gauges"
        assert all(re.fullmatch(r"[a-z_]+", key) for key in labels)
        assert isinstance(value, float)
    assert str(org.id) not in str(rows)
    assert "Testlaget" not in str(rows)


def test_the_numbers_are_right(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.claim("C-1")
    org.claim("C-2", Line("Unmapped", "1"))
    org.request()
    found = measured(bilag)
    assert found["bilag_lanes", ("due",)] == 1
    assert found["bilag_runs_unfinished", ("queued",)] == 1
    assert found["bilag_queue_messages", ("bilag_exports",)] == 1
    assert found["bilag_workers_alive", ()] == 1
    job = worker.claim_one()
    found = measured(bilag)
    assert (found["bilag_lanes", ("due",)], found["bilag_lanes", ("leased",)]) == (0, 1)
    assert found["bilag_vouchers_unsettled", ("xledger", "sending")] == 1
    worker.settle(job, "accepted")
    found = measured(bilag)
    assert found["bilag_vouchers_unsettled", ("xledger", "accepted")] == 1
    assert found["bilag_runs_unfinished", ("waiting",)] == 1
    assert found["bilag_integrations", ("xledger", "enabled")] == 1


def test_alerts_are_counted_and_kinds_that_are_not_open_are_zero(bilag: Bilag, org: Organisation) -> None:
    for problem in "ab":
        bilag.database.sql("select bilag_internal.raise_alert('run_failed', %s, %s, 'xledger', 'x')", problem, org.id)
    found = measured(bilag)
    assert found["bilag_alerts_open", ("run_failed", "warning")] == 2
    assert found["bilag_alerts_open", ("doubled", "critical")] == 0


def test_ages_are_in_seconds(bilag: Bilag, org: Organisation, worker: FakeWorker) -> None:
    org.insert("export_schedules", {"integration_type": "xledger", "frequency": "daily", "run_at": "13:00"})
    bilag.advance(hours=1)
    bilag.database.sql("select bilag_internal.tick()")
    bilag.advance(minutes=3)
    found = measured(bilag)
    assert found["bilag_schedule_delay_seconds", ()] == 180
    assert (found["bilag_tick_age_seconds", ("anybody",)], found["bilag_tick_age_seconds", ("pg_cron",)]) == (180, 180)
    worker.tick()
    found = measured(bilag)
    assert (found["bilag_tick_age_seconds", ("anybody",)], found["bilag_tick_age_seconds", ("pg_cron",)]) == (0, 180)
    assert found["bilag_workers_alive", ()] == 0


def test_observers_and_the_service_read_it(bilag: Bilag) -> None:
    for role in ("bilag_observer", "service_role"):
        with bilag.database.as_user(uuid4(), role) as connection:
            assert connection.execute("select count(*) > 20 from bilag.metrics").fetchone() == (True,)


def test_a_worker_is_told_of_open_alerts_when_it_says_hello(
    bilag: Bilag, org: Organisation, worker: FakeWorker
) -> None:
    bilag.database.sql("select bilag_internal.raise_alert('doubled', 'a', %s, 'xledger', 'x')", org.id)
    assert worker.hello()["openAlerts"] == {"critical": 1, "warning": 0, "info": 0}
