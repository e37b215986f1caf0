"""A read-only replica that is behind: what GET sees unless it asks for the writable database (A9).

``Data-Access-Intent: ReadWrite`` avoids it [INF]; that it lags at all, and by how much, is a setting of the fake.
"""

from __future__ import annotations

from copy import deepcopy
from datetime import datetime, timedelta

from dev.fakes.dynamics365.company import Company

Before = tuple[datetime, dict[str, Company]]


class Replica:
    """Copies of the companies as they were, kept while there is a lag."""

    def __init__(self, companies: dict[str, Company]) -> None:
        self._companies = companies
        self._kept: list[Before] = []
        self.lag = 0.0

    def set_lag(self, seconds: float, now: datetime) -> None:
        """Fall behind by so many seconds from now on; all that is there is already seen."""
        self.lag, self._kept = seconds, [(now, deepcopy(self._companies))] if seconds else []

    def remember(self, now: datetime) -> None:
        """Note how things stand after a change."""
        if self.lag:
            self._kept.append((now, deepcopy(self._companies)))

    def seen(self, company: Company, now: datetime) -> tuple[Company, datetime | None]:
        """The company as the replica has it, and the moment up to which the ledger has come there."""
        if not self.lag:
            return company, None
        until = max(now - timedelta(seconds=self.lag), self._kept[0][0])
        reached = [place for place, (moment, _) in enumerate(self._kept) if moment <= until]
        self._kept = self._kept[reached[-1] :]
        return self._kept[0][1].get(company.code, company), until
