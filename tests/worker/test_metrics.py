"""The numbers, as Prometheus reads them."""

from __future__ import annotations

from worker.metrics import Metrics


def test_a_counter_that_never_counted_is_zero_and_not_absent() -> None:
    assert "bilag_leases_lost_total 0" in Metrics().render().splitlines()


def test_a_counter_has_its_help_its_type_and_a_line_for_each_set_of_labels() -> None:
    metrics = Metrics()
    metrics.items.add(outcome="exported")
    metrics.items.add(2, outcome="exported")
    metrics.items.add(outcome="rejected")
    lines = metrics.render().splitlines()
    assert "# TYPE bilag_items_total counter" in lines
    assert any(line.startswith("# HELP bilag_items_total ") for line in lines)
    assert 'bilag_items_total{outcome="exported"} 3' in lines
    assert 'bilag_items_total{outcome="rejected"} 1' in lines


def test_a_gauge_is_asked_when_the_page_is() -> None:
    metrics = Metrics()
    running = [0]
    metrics.gauge("bilag_running_lanes", "Lanes.", lambda: running[0])
    running[0] = 7
    assert "bilag_running_lanes 7" in metrics.render().splitlines()


def test_a_label_cannot_break_the_page() -> None:
    metrics = Metrics()
    metrics.jobs.add(kind='po"st\n\\')
    assert 'bilag_jobs_total{kind="po\\"st\\n\\\\"} 1' in metrics.render().splitlines()


def test_open_alerts_are_a_gauge_as_the_database_last_said() -> None:
    metrics = Metrics()
    metrics.heard({"openAlerts": {"critical": 2, "warning": 0}})
    metrics.heard({"openAlerts": {"critical": 1, "warning": 0}})
    metrics.heard({})
    lines = metrics.render().splitlines()
    assert 'bilag_alerts_open{severity="critical"} 1' in lines
    assert "# TYPE bilag_alerts_open gauge" in lines
