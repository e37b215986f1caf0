"""What the tests of the audit share: a chain, what is said of it, and a superuser who tampers with it."""

from __future__ import annotations

from typing import LiteralString

from tests.fix_bilag import Organisation

AUDIT: LiteralString = "select bilag_internal.audit(%s, %s)"
LOG = "bilag.bufdir_export_audit_log"


def chain(org: Organisation, length: int = 5) -> None:
    for n in range(1, length + 1):
        org.database.sql(AUDIT, org.id, f"event {n}")


def verdict(org: Organisation, known: str | None = None) -> str | None:
    said = org.database.value("select bilag.verify_audit(%s, %s)", org.id, known)
    assert said is None or isinstance(said, str)
    return said


def tamper(org: Organisation, change: str) -> None:
    """What only a superuser can do, and only by switching the triggers off, by name and for everybody."""
    connection = org.database.connect(autocommit=False)
    connection.execute("set session_replication_role = replica")  # foreign keys, too
    for switch in ("disable", "enable always"):
        for trigger in ("audit_is_append_only", "audit_is_not_truncated"):
            connection.execute(f"alter table {LOG} {switch} trigger {trigger}".encode())
        if switch == "disable":
            connection.execute(change.encode())
    connection.commit()
    connection.close()
