"""What each actor may do with each relation and each function, found out by trying.

A cell says how far it went: ``-`` refused, ``none`` allowed but not one row, ``part`` some rows of the own
organisation, ``org`` all of its rows, ``all`` every organisation's. ``*``: some columns only. ``view``: a policy or a
view may call the function for its reader, who cannot.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.sql.actors import ACTORS, Scene
from tests.sql.verbs import IDS, Verb, verbs

ORG_COLUMNS = ("org_id", "organization_id")
DENIED = {"42501"}
NOT_FOR_VIEWS = {"55000", "0A000"}  # a view that cannot be written to, by anybody

Row = tuple[str, str, dict[str, str]]
"""What, which operation, and the cell of each actor."""


def relations(scene: Scene) -> Iterable[Row]:
    rows = scene.bilag.database.sql(
        "select n.nspname || '.' || c.relname, c.relkind::text"
        " from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname in ('bilag', 'bilag_internal', 'bilag_hooks') and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')"
        " order by c.relkind = 'S', 1"
    )
    for name, kind in rows:
        tried = _collapsed([_operation(scene, name, kind, what) for what in _operations(kind)])
        if (name.startswith("bilag.") and kind != "S") or tried[0][1] != "any":
            yield from tried


def _operations(kind: str) -> tuple[str, ...]:
    return ("select", "usage", "update") if kind == "S" else ("select", "insert", "update", "delete", "truncate")


def _collapsed(rows: list[Row]) -> list[Row]:
    """What is refused to everybody is one line."""
    open_to_some = [row for row in rows if set(row[2].values()) != {"-"}]
    if len(open_to_some) == len(rows):
        return rows
    return [*open_to_some, (rows[0][0], "rest" if open_to_some else "any", dict.fromkeys(ACTORS, "-"))]


def _operation(scene: Scene, name: str, kind: str, what: str) -> Row:
    relation = Relation(scene, name, kind)
    return name, what, {actor: getattr(relation, what)(actor) for actor in ACTORS}


class Relation:
    """One relation, as seen by its owner: its columns, and a row of each organisation."""

    def __init__(self, scene: Scene, name: str, kind: str) -> None:
        self.scene, self.name, self.kind = scene, name, kind
        self.columns: list[tuple[str, str]] = scene.bilag.database.sql(
            "select attname, format_type(atttypid, null) from pg_attribute where attrelid = %s::regclass and attnum > 0"
            " and not attisdropped and attidentity <> 'a' and attgenerated = '' order by attnum",
            name,
        )
        names = [column for column, _ in self.columns]
        self.org = "id" if name == "bilag.organizations" else next((c for c in ORG_COLUMNS if c in names), None)

    def select(self, actor: str) -> str:
        if self.kind == "S":
            return self._of(self.scene.attempt(actor, f"select last_value from {self.name}"))
        cell = self._reached([self._count(actor, org) for org in self._orgs()])
        whole = self.scene.attempt(actor, f"select * from {self.name} limit 0")[0]
        return f"{cell}*" if cell != "-" and whole in DENIED else cell

    def insert(self, actor: str) -> str:
        columns = self._granted(actor, "insert")
        into = f"insert into {self.name} ({', '.join(c for c, _ in columns)}) values"
        return self._reached(
            [self._try(actor, f"{into} ({', '.join(f'%s::{k}' for _, k in columns)})", self._row(columns, org), True)
             for org in self._orgs()]
        )  # fmt: skip

    def update(self, actor: str) -> str:
        if self.kind == "S":
            return self._of(self.scene.attempt(actor, f"select setval('{self.name}', 1)"))
        column = self._granted(actor, "update")[0][0]
        return self._reached(
            [self._where(actor, f"update {self.name} set {column} = {column}", o) for o in self._orgs()]
        )

    def delete(self, actor: str) -> str:
        return self._reached([self._where(actor, f"delete from {self.name}", org) for org in self._orgs()])

    def truncate(self, actor: str) -> str:
        return self._of(self.scene.attempt(actor, f"truncate {self.name}"))

    def usage(self, actor: str) -> str:
        return self._of(self.scene.attempt(actor, f"select nextval('{self.name}')"))

    def _orgs(self) -> list[Any]:
        return [self.scene.ours.id, self.scene.theirs.id] if self.org else [None]

    def _of(self, said: tuple[str, list[tuple[Any, ...]], int]) -> str:
        return "-" if said[0] in DENIED | NOT_FOR_VIEWS | {"42809"} else "all"

    def _reached(self, cells: list[str]) -> str:
        """From what is reached of the own organisation and of the other one."""
        if all(cell == "-" for cell in cells):
            return "-"
        own, other = cells[0], cells[-1]
        if self.org is None:
            return "all" if own == "whole" else "none"
        if other in ("-", "none"):
            return {"whole": "org", "part": "part"}.get(own, "none")
        return "all" if own == "whole" else f"{own}!"

    def _count(self, actor: str, org: Any) -> str:
        where = f" where {self.org} = %s" if self.org else ""
        values = [org] if self.org else []
        query = f"select count(*) from {self.name}{where}"
        code, rows, _ = self.scene.attempt(actor, query, values)
        if code:
            assert code in DENIED, (self.name, actor, code)
            return "-"
        there = self.scene.bilag.connection.execute(query.encode(), values).fetchall()[0][0]
        assert there, f"{self.name} has nothing to see: let tests/sql/actors.py fill it"
        seen = rows[0][0]
        return "none" if seen == 0 else "whole" if seen == there else "part"

    def _where(self, actor: str, statement: str, org: Any) -> str:
        where = f" where {self.org} = %s" if self.org else ""
        return self._try(actor, statement + where, [org] if self.org else [], False)

    def _try(self, actor: str, statement: str, values: list[Any], inserts: bool) -> str:
        code, _, touched = self.scene.attempt(actor, statement, values)
        if code in DENIED | NOT_FOR_VIEWS:
            return "-"
        # Any other refusal is of a trigger or a constraint, which are asked after grants and policies.
        return "whole" if code or touched or inserts else "none"

    def _granted(self, actor: str, privilege: str) -> list[tuple[str, str]]:
        rows = self.scene.bilag.connection.execute(
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped"
            " and has_column_privilege(%s, attrelid, attnum, %s)",
            [self.name, ACTORS[actor], privilege],
        ).fetchall()
        granted = {name for (name,) in rows}
        return [column for column in self.columns if column[0] in granted] or self.columns

    def _row(self, columns: list[tuple[str, str]], org: Any) -> list[Any]:
        """A row that is there already: whoever may insert it stumbles over its key."""
        where = f" where {self.org} = %s" if self.org else ""
        query = f"select {', '.join(f'{c}::text' for c, _ in columns)} from {self.name}{where} limit 1"
        row = self.scene.bilag.connection.execute(query.encode(), [org] if self.org else []).fetchone()
        return list(row) if row is not None else [None] * len(columns)


def functions(scene: Scene) -> Iterable[Row]:
    for verb in verbs(scene.bilag.database, ("bilag", "bilag_internal", "bilag_hooks")):
        cells = {actor: _call(scene, actor, verb) for actor in ACTORS}
        if verb.schema == "bilag" or set(cells.values()) != {"-"}:
            yield f"{verb.schema}.{verb.name}", "execute", cells


def _call(scene: Scene, actor: str, verb: Verb) -> str:
    granted = scene.bilag.connection.execute(
        "select has_function_privilege(%s, %s::regprocedure, 'execute')", [ACTORS[actor], verb.signature]
    ).fetchone() == (True,)
    named = [name for name in verb.names if name in IDS]
    told = [
        scene.attempt(actor, *verb.call({name: scene.ids[org.id][name] for name in named}))[0]
        for org in (scene.ours, scene.theirs)
    ]
    if "42501" in told:
        assert told == ["42501", "42501"], (verb.name, actor, told)
        return "view" if granted else "-"
    assert granted, f"{verb.signature} was not tried: give its parameters something that fits in tests/sql/verbs.py"
    own, other = (code not in ("KB002", "KB003") for code in told)
    if not named or (own and other):
        return "all"
    return "org" if own else "none"
