"""Health checks done by hand: the test says what each connection answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from tests.fix_bilag import Bilag, Organisation
from tests.sql.fake_worker import FakeWorker

Round = dict[str, Any]
WELL: Mapping[str, Any] = {"status": "healthy", "latencyMs": 42, "afterSeconds": 0, "error": None}
DEAD: Mapping[str, Any] = {"status": "unreachable", "latencyMs": None, "afterSeconds": 0, "error": "no answer"}
LIMITED: Mapping[str, Any] = {**WELL, "status": "degraded", "error": "Slow down", "reasonCode": "rate_limited"}


def checked(got: Round, *answers: Mapping[str, Any], stopped: bool = False) -> dict[str, Any]:
    """The report of a round. One answer is that of all of its connections."""
    if stopped:
        return {"lane": got["lane"], "token": got["token"], "stopped": True, "checks": []}
    said = answers * len(got["checks"]) if len(answers) == 1 else answers
    checks = [{"integrationType": c["integrationType"], **a} for c, a in zip(got["checks"], said, strict=True)]
    return {"lane": got["lane"], "token": got["token"], "stopped": False, "checks": checks}


class HealthWorker(FakeWorker):
    def claim_checks(self, slots: int = 10, lease: int = 60) -> list[Round]:
        return self.call("select bilag_internal.claim_health_checks(%s, %s, %s)", self.id, slots, lease)

    def settle_checks(self, *reports: Mapping[str, Any]) -> list[dict[str, Any]]:
        return self.call("select bilag_internal.settle_health_checks(%s, %s)", self.id, Jsonb(list(reports)))

    def round(self, *answers: Mapping[str, Any]) -> list[str]:
        """Tick, and do all checks that are due; the types that were checked."""
        self.tick()
        done = []
        for got in self.claim_checks(1000):
            assert self.settle_checks(checked(got, *answers)) == []
            done += [check["integrationType"] for check in got["checks"]]
        return done


def health_worker(bilag: Bilag) -> HealthWorker:
    worker = HealthWorker(bilag.database)
    worker.hello()
    return worker


def health(org: Organisation, kind: str = "xledger") -> dict[str, Any]:
    """The row of its status."""
    (row,) = org.database.sql(
        "select to_jsonb(s) from bilag.integration_health_status s where org_id = %s and integration_type = %s",
        org.id,
        kind,
    )
    return dict(row[0])


def history(org: Organisation, kind: str = "xledger") -> list[str]:
    """The status of each check, the oldest first."""
    rows = org.database.sql(
        "select status from bilag.health_check_history where org_id = %s and integration_type = %s"
        " order by checked_at, id",
        org.id,
        kind,
    )
    return [status for (status,) in rows]
