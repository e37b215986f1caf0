"""What ``bilag doctor`` looks at where all policies rest on one function: ``memberships()``, of whom it makes members.

An application replaces it with its own. It is asked as the policies ask it, as nobody, as somebody unknown and as a
person of the installation; and what it cost is read from the plan, in pages, which do not depend on who else is busy.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import uuid4

import psycopg

from worker.cli.connections import connected
from worker.cli.told import Told, sentence
from worker.settings import Settings

Connection = psycopg.Connection[tuple[Any, ...]]

_MOST_PAGES = 1000
"""More for one person is a table that is read whole."""

_MADE = """
    select pg_get_function_result(p.oid), p.provolatile = 'v',
      p.prosecdef and not exists (select from unnest(p.proconfig) as c where c like 'search_path=%%')
    from pg_proc p
    where p.oid = to_regprocedure('bilag_hooks.memberships()')"""

_PERSON = """
    select user_id::text from bilag.organization_members
    union all
    (select claimant_user_id::text from bilag.expense_claims where claimant_user_id is not null limit 1)
    limit 1"""

_PATH = "set local search_path = pg_catalog, pg_temp"  # as the policies' helpers have it
_CLAIMS = "select set_config('request.jwt.claims', %s, true)"
_ASKED = "select org_id, role from bilag_hooks.memberships()"
_COST = "explain (analyze, buffers, timing off, format json) select * from bilag_hooks.memberships()"


def members(settings: Settings) -> str:
    with connected(settings.owner_url) as connection:
        _is_made_well(connection)
        found = connection.execute(_PERSON).fetchone()
        connection.execute(_PATH)
        if _asked(connection, {}):
            raise Told("memberships() gives organisations to a caller without a JWT.")
        if _asked(connection, {"sub": str(uuid4())}):
            raise Told("memberships() gives organisations to a person whom nobody knows.")
        person = found[0] if found is not None else str(uuid4())
        rows = _asked(connection, {"sub": person})
        unknown = sorted({str(role) for _, role in rows} - {"member", "finance_admin"})
        if unknown:
            raise Told(f"memberships() gives roles that mean nothing here: {', '.join(unknown)}.")
        ((plan,),) = _run(connection, _COST)
        pages = _pages(plan if not isinstance(plan, str) else json.loads(plan))
        if pages > _MOST_PAGES:
            raise Told(f"memberships() reads {pages} pages for one person, with every statement.")
        return f"a person belongs to {len(rows)} of the organisations, which costs {pages} pages"


def _is_made_well(connection: Connection) -> None:
    made = connection.execute(_MADE).fetchone()
    if made is None:
        raise Told("There is no function bilag_hooks.memberships(): nobody sees anything.")
    result, is_volatile, is_open = made
    if result != "TABLE(org_id uuid, role text)":
        raise Told(f"memberships() returns {result}, and not TABLE(org_id uuid, role text).")
    if is_volatile:
        raise Told("memberships() is volatile; it must be stable, to be asked once per statement.")
    if is_open:
        raise Told(
            "memberships() is security definer without a search_path of its own: a caller's could lead it astray."
        )


def _asked(connection: Connection, claims: dict[str, str]) -> Sequence[tuple[Any, ...]]:
    _run(connection, _CLAIMS, json.dumps(claims))
    return _run(connection, _ASKED)


def _run(connection: Connection, statement: LiteralString, *values: str) -> Sequence[tuple[Any, ...]]:
    try:
        return connection.execute(statement, values or None).fetchall()
    except psycopg.Error as error:
        raise Told(f"memberships() fails: {sentence(error.diag.message_primary or str(error))}") from None


def _pages(plan: list[dict[str, Any]]) -> int:
    top = plan[0]["Plan"]
    return int(top["Shared Hit Blocks"]) + int(top["Shared Read Blocks"])
