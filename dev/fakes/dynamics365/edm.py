"""The types of properties: how a value is read from a request, and shown in an answer (A4).

A value that comes in is checked before the application sees it. The sentence for an over-long string is
Microsoft's [MS]; that for an option is from Microsoft's sample [MS]; those for a wrong name and a wrong type are the
OData library's, an inference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from dev.fakes.dynamics365.errors import BcError, malformed, too_long

NO_ID = UUID(int=0)
BLANK = "_x0020_"

ACCOUNT_TYPES = (
    *("G/L Account", "Customer", "Vendor", "Bank Account"),
    *("Fixed Asset", "IC Partner", "Employee", "Allocation Account"),
)


def encoded(caption: str) -> str:
    """An option as it is serialised: ``G_x002F_L_x0020_Account`` [EDMX]."""
    return re.sub(r"[^A-Za-z0-9_]", lambda sign: f"_x{ord(sign[0]):04X}_", caption) or BLANK


def decoded(member: str) -> str:
    return re.sub(r"_x([0-9A-Fa-f]{4})_", lambda sign: chr(int(sign[1], 16)), member)


@dataclass(frozen=True, slots=True)
class Property:
    """``kind`` is the Edm type without its prefix; ``Code`` is a string that is kept in upper case and trimmed."""

    kind: str
    most: int | None = None
    options: tuple[str, ...] = ()

    def read(self, name: str, value: Any) -> Any:
        """The value of a request's JSON. Raises BcError for a wrong type, an over-long string, an unknown option."""
        if value is None and self.kind in ("String", "Code", "Guid"):
            return NO_ID if self.kind == "Guid" else ""
        if self.kind in ("String", "Code", "Enum"):
            return self._text(name, value)
        if self.kind == "Decimal" and isinstance(value, int | Decimal) and not isinstance(value, bool):
            return Decimal(value)
        if self.kind == "Int32" and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31:
            return value
        if isinstance(value, str) and self.kind in ("Guid", "Date"):
            return self._parsed(name, value)
        raise self.wrong(name, value)

    def wrong(self, name: str, value: object) -> BcError:
        kind = "String" if self.kind == "Code" else self.kind
        return malformed(f"Cannot convert the literal '{value}' of the property '{name}' to the type 'Edm.{kind}'.")

    def _text(self, name: str, value: Any) -> str:
        if not isinstance(value, str):
            raise self.wrong(name, value)
        if self.kind == "Enum":
            return self._option(value)
        kept = value.strip().upper() if self.kind == "Code" else value
        if self.most is not None and len(kept) > self.most:
            raise too_long(kept, self.most)
        return kept

    def _option(self, value: str) -> str:
        caption = decoded(value)
        if caption not in self.options:
            known = ",".join(option for option in self.options if option.strip())
            raise BcError(400, "Unknown", f"'{value}' is not an option. The existing options are: {known}")
        return caption

    def _parsed(self, name: str, value: str) -> UUID | date:
        try:
            return UUID(value) if self.kind == "Guid" else date.fromisoformat(value)
        except ValueError:
            raise self.wrong(name, value) from None


def shown(value: Any, kind: str) -> Any:
    """A value as the answer's JSON has it."""
    if kind == "Enum":
        return encoded(value) if value.strip() else BLANK
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, UUID | date):
        return str(value)
    return value
