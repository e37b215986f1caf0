"""Every function of ours that can be called, from the catalogue, with something to pass for each of its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from tests.fix_postgres import Database

IDS = {
    "org_id",
    "run_id",
    "claim_id",
    "alert_id",
    "item_id",
    "integration_id",
    "schedule_id",
    "reconciliation_id",
    "check_id",
}
"""Parameters that name something of an organisation."""

WORDS = {
    "integration_type": "xledger", "outcome": "booked", "claims": "[]", "claim_number": "C-1", "secret": "hush",
    "from_date": "2026-01-01", "to_date": "2026-12-31", "posting_date": "2026-03-02", "period_end": "2026-03-01",
    "reports": "[]", "entries": "[]", "environment": "development", "version": "0",
}  # fmt: skip
"""What is passed for a parameter that names nothing; ``x`` when it is not here."""

BY_TYPE = {
    "integer": "1", "bigint": "1", "numeric": "1", "boolean": "true", "uuid": str(UUID(int=7)), "jsonb": "{}",
    "interval": "1 s", "time without time zone": "02:30", "double precision": "1",
}  # fmt: skip


@dataclass(frozen=True)
class Verb:
    schema: str
    name: str
    signature: str
    names: Sequence[str]
    types: Sequence[str]

    def call(self, named: Mapping[str, str]) -> tuple[str, list[str | None]]:
        """The statement that calls it, with these values for the parameters that name something."""
        values = [self._value(name, kind, named) for name, kind in zip(self.names, self.types, strict=True)]
        marks = ", ".join(f"%s::{kind}" for kind in self.types)
        return f"select * from {self.schema}.{self.name}({marks})", values

    def _value(self, name: str, kind: str, named: Mapping[str, str]) -> str | None:
        if kind.endswith("[]"):
            return "{}"
        if name in named or name in WORDS:
            return named.get(name) or WORDS[name]
        if kind == "date" or kind.startswith("timestamp"):
            return "2026-03-02"
        return BY_TYPE.get(kind) or ("x" if kind == "text" else None)


def verbs(database: Database, schemas: Sequence[str] = ("bilag",), role: str | None = None) -> list[Verb]:
    """Those of these schemas that no trigger alone can call; only those that the role may execute, if one is named."""
    rows = database.sql(
        "select n.nspname, p.proname, p.oid::regprocedure::text, coalesce(p.proargnames[1:p.pronargs], '{}'),"
        " array(select format_type(t, null) from unnest(p.proargtypes) with ordinality as a (t, n) order by n)"
        " from pg_proc p join pg_namespace n on n.oid = p.pronamespace"
        " where n.nspname = any(%s) and p.prorettype <> 'trigger'::regtype"
        " and (%s::text is null or has_function_privilege(%s::text, p.oid, 'execute')) order by 1, 2, 3",
        list(schemas),
        role,
        role,
    )
    return [Verb(*row) for row in rows]
