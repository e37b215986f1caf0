"""Xledger's GraphQL: the schema, its scalars, and how its errors look.

Errors are ``{message, code?, extensions?}`` with ``code`` at the *top* level, and the HTTP status is usually 200. Money
goes in as a string or a number and comes out as a string; datetimes are ``YYYY-MM-DDTHH:mm:ss`` without an offset, in
Norwegian local time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    execute,
    parse,
    validate,
)

HERE = Path(__file__).parent
DATETIME = "%Y-%m-%dT%H:%M:%S"
LOCAL = ZoneInfo("Europe/Oslo")


class VendorError(Exception):
    """A business error, as the vendor words it."""

    def __init__(self, message: str, code: str | None = None, extensions: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.extensions = code, extensions

    def as_json(self) -> dict[str, Any]:
        shaped: dict[str, Any] = {"message": str(self)}
        if self.code:
            shaped["code"] = self.code
        if self.extensions:
            shaped["extensions"] = dict(self.extensions)
        return shaped


class VendorErrors(Exception):
    """Several business errors in one answer."""

    def __init__(self, errors: list[VendorError]) -> None:
        super().__init__("; ".join(map(str, errors)))
        self.errors = errors


def parse_int64(value: Any) -> int:
    """A number or a string of digits, within 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int | str) or not re.fullmatch(r"-?\d{1,19}", str(value)):
        raise GraphQLError(f"Int64String cannot represent value: {value!r}")
    return int(value)


def parse_money(value: Any) -> Decimal:
    """A decimal as a string or a number literal, with at most two decimals."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise InvalidOperation
        amount = Decimal(str(value))
        if not amount.is_finite() or amount != amount.quantize(Decimal("0.01")):
            raise InvalidOperation
    except InvalidOperation:
        raise GraphQLError(f"Money cannot represent value: {value!r}") from None
    return amount.quantize(Decimal("0.01"))


def parse_date(value: Any) -> date:
    try:
        return date.fromisoformat(value if len(value) == len("YYYY-MM-DD") else "")
    except (TypeError, ValueError):
        raise GraphQLError(f"Date cannot represent value: {value!r}") from None


def parse_datetime(value: Any) -> datetime:
    """Local time without an offset: an offset is refused rather than misread."""
    try:
        return datetime.fromisoformat(value if len(value) == len("YYYY-MM-DDTHH:mm:ss") and "T" in value else "")
    except (TypeError, ValueError):
        raise GraphQLError(f"DateTime cannot represent value: {value!r}") from None


def _serialize(value: Any) -> Any:
    """Numbers and strings as they are, the rest as the vendor writes it."""
    if isinstance(value, datetime):
        return value.strftime(DATETIME)
    return value if isinstance(value, int) else str(value)


SCALARS = {"Int64String": parse_int64, "Money": parse_money, "Date": parse_date, "DateTime": parse_datetime}


@lru_cache(maxsize=2)
def load(wide: bool) -> GraphQLSchema:
    """The schema; ``wide`` adds the filters that are only guessed at."""
    names = ("schema.graphql", "guesses.graphql") if wide else ("schema.graphql",)
    schema = build_schema("\n".join((HERE / name).read_text() for name in names))
    for name, parser in SCALARS.items():
        scalar = cast("GraphQLScalarType", schema.type_map[name])
        scalar.coerce_input_value = parser
        scalar.coerce_output_value = _serialize
    return schema


@lru_cache(maxsize=256)
def prepare(query: str, wide: bool) -> tuple[DocumentNode | None, tuple[GraphQLError, ...]]:
    """The parsed query and what is wrong with it."""
    try:
        document = parse(query)
    except GraphQLError as error:
        return None, (error,)
    return document, tuple(validate(load(wide), document))


@lru_cache(maxsize=256)
def root_fields(query: str) -> str:
    """What the query asks for, joined by ``+``: the operation's name, for faults and counters."""
    try:
        document = parse(query)
    except GraphQLError:
        return "invalid"
    operations = [found for found in document.definitions if isinstance(found, OperationDefinitionNode)]
    selections = operations[0].selection_set.selections if operations else ()
    names = [selection.name.value for selection in selections if isinstance(selection, FieldNode)]
    return "+".join(name for name in names if name != "__typename") or "+".join(names) or "invalid"


def run(
    query: str, variables: Mapping[str, Any] | None, operation: str | None, root: Mapping[str, Any], *, wide: bool
) -> dict[str, Any]:
    """Execute, and shape the answer as the vendor does."""
    document, faults = prepare(query, wide)
    if document is None or faults:
        return {"errors": [_shape(error) for error in faults]}
    result = cast(
        "ExecutionResult",  # nothing here is asynchronous
        execute(load(wide), document, root_value=root, variable_values=dict(variables or {}), operation_name=operation),
    )
    if result.errors:
        return {"errors": [shaped for error in result.errors for shaped in _shape_all(error)]}
    return {"data": result.data}


def _shape_all(error: GraphQLError) -> list[dict[str, Any]]:
    if isinstance(error.original_error, VendorErrors):
        return [inner.as_json() for inner in error.original_error.errors]
    return [_shape(error)]


def _shape(error: GraphQLError) -> dict[str, Any]:
    if isinstance(error.original_error, VendorError):
        return error.original_error.as_json()
    unknown = re.match(r"Cannot query field '(\w+)' on type '(\w+)'", error.message)
    if unknown:
        return {"message": "Cannot query field `{}` on type `{}`".format(*unknown.groups())}
    if error.message.startswith("Variable "):
        return {"message": error.message, "extensions": {"code": "INVALID_VALUE"}}
    if error.original_error is not None:
        return {"message": "An unexpected error occurred.", "code": "UNHANDLED_ERROR"}
    return {"message": error.message, "extensions": {"code": "ARGUMENTS_OF_CORRECT_TYPE"}}
