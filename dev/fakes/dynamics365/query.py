"""OData's query options on a list of rows: ``$filter $select $orderby $top $skip $count``, and pages (A8).

A name that the entity type has not is refused. The sentences are inferences; the codes are the contract's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from dev.fakes.dynamics365.entities import ENTITIES, property_of
from dev.fakes.dynamics365.errors import malformed
from dev.fakes.dynamics365.filters import Filter
from dev.fakes.dynamics365.operations import Row

PAGE_SIZE = 20_000
"""Entities on a page [MS] (A8)."""
OPTIONS = ("$filter", "$select", "$orderby", "$top", "$skip", "$skiptoken", "$count", "$expand", "company")


def options(query: str) -> dict[str, str]:
    """The query options of a URL. Raises BcError for one that does not exist."""
    given = dict(parse_qsl(query, keep_blank_values=True))
    for name in given:
        if name not in OPTIONS:
            raise malformed(f"The query parameter '{name}' is not supported.")
    return given


def matching(rows: Sequence[Row], entity: str, text: str | None) -> list[Row]:
    """The rows that a ``$filter`` leaves. Raises BcError when it is not one."""
    if text is None:
        return list(rows)
    test = Filter(entity, text).read()
    return [row for row in rows if test(row)]


def ordered(rows: list[Row], entity: str, text: str | None) -> list[Row]:
    for part in reversed((text or "").split(",") if text else []):
        name, _, direction = part.strip().partition(" ")
        property_of(entity, name)
        if direction.strip() not in ("", "asc", "desc"):
            raise malformed(f"Syntax error in '$orderby={text}'.")
        rows = sorted(rows, key=lambda row: row[name], reverse=direction.strip() == "desc")
    return rows


def selected(entity: str, text: str | None) -> list[str]:
    """The names that an answer shows."""
    if text is None:
        return list(ENTITIES[entity])
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        property_of(entity, name)
    return names


def number(given: Mapping[str, str], name: str) -> int | None:
    if name not in given:
        return None
    if not given[name].isdigit():
        raise malformed(f"Invalid value '{given[name]}' for {name} query option found.")
    return int(given[name])
