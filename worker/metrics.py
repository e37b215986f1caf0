"""Counters and gauges of this process, written as Prometheus text. No label ever holds a tenant's data or a secret."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Metric:
    """One metric: its help line, its type, and a number per set of labels."""

    name: str
    kind: str
    meaning: str
    values: dict[Labels, float] = field(default_factory=dict)
    read: Callable[[], float] | None = None

    def add(self, amount: float = 1, **labels: str) -> None:
        key = tuple(sorted(labels.items()))
        self.values[key] = self.values.get(key, 0) + amount

    def set(self, value: float, **labels: str) -> None:
        self.values[tuple(sorted(labels.items()))] = value

    def lines(self) -> list[str]:
        values = {(): self.read()} if self.read else (self.values or ({(): 0.0} if self.kind == "counter" else {}))
        head = [f"# HELP {self.name} {self.meaning}", f"# TYPE {self.name} {self.kind}"]
        return head + [f"{self.name}{_labels(labels)} {value:.17g}" for labels, value in sorted(values.items())]


class Metrics:
    """The numbers of one worker."""

    def __init__(self) -> None:
        self._all: dict[str, Metric] = {}
        self.jobs = self._counter("bilag_jobs_total", "Jobs that ended, by kind and how.")
        self.errands = self._counter("bilag_errands_total", "Side jobs that ended, by queue and how.")
        self.items = self._counter("bilag_items_total", "Vouchers reported, by outcome.")
        self.claims = self._counter("bilag_claim_calls_total", "Calls that asked for work.")
        self.settles = self._counter("bilag_settle_calls_total", "Calls that reported work.")
        self.losses = self._counter("bilag_leases_lost_total", "Leases that ended under a running job.")
        self.outages = self._counter("bilag_database_outages_total", "Times the database stopped answering.")
        self.dropped_rows = self._counter("bilag_attempt_rows_dropped_total", "Attempt rows that were never written.")
        self.attempts = self._counter("bilag_attempts_total", "Attempts of external calls, by adapter and error class.")
        self.cold_starts = self._counter("bilag_cold_starts_total", "Connections that a job had to open first.")
        self.fallbacks = self._counter("bilag_credential_fallbacks_total", "Credentials read from the environment.")

        self.alerts = Metric("bilag_alerts_open", "gauge", "Open alerts of the installation, by severity.")
        self._all[self.alerts.name] = self.alerts

    def heard(self, said: Mapping[str, object]) -> None:
        """What the database said of the installation when this worker last said hello."""
        found = said.get("openAlerts")
        for severity, count in found.items() if isinstance(found, Mapping) else ():
            self.alerts.set(count, severity=severity)

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """A number that is asked for when the page is."""
        self._all[name] = Metric(name, "gauge", meaning, read=read)

    def render(self) -> str:
        return "\n".join(line for metric in self._all.values() for line in metric.lines()) + "\n"

    def _counter(self, name: str, meaning: str) -> Metric:
        metric = Metric(name, "counter", meaning)
        self._all[name] = metric
        return metric


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
