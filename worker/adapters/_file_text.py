"""Text that goes into a file: what the format cannot hold is replaced and told, what a spreadsheet would run tamed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_FORMULA = re.compile(r"'*(?:[\t\r\n]|[\s\ufeff]*[=+\-@＝＋－＠])")
_MOST_TOLD = 8


class Misfit(Exception):
    """The format has no room for a voucher. It is rejected for this reason."""

    def __init__(self, reason_code: str, **params: Any) -> None:
        super().__init__(reason_code)
        self.reason_code = reason_code
        self.params = params

    @classmethod
    def of(cls, name: str, value: object, limit: str) -> Misfit:
        return cls("does_not_fit", field=name, value=str(value)[:100], limit=limit)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A voucher's bytes. ``remark`` says what of its text could not be kept."""

    content: bytes
    remark: str | None = None


def tamed(text: str) -> str:
    """The text with an apostrophe before it, when a spreadsheet would take it for a formula.

    Who reads it back takes one apostrophe away from what begins with one before a formula, and has what was written. An
    amount is not text: it is written by us, as a number, and its minus stays where it is.
    """
    return f"'{text}" if _FORMULA.match(text) else text


@dataclass(slots=True)
class Scribe:
    """Writes the texts of one voucher, and notes what it could not keep.

    ``substitute`` gives what stands for a character that the format cannot hold, and ``None`` for one that it can.
    """

    substitute: Callable[[str], str | None]
    _replaced: dict[str, str] = field(default_factory=dict)
    _cut: int = 0

    def text(self, text: str, most: int | None = None) -> str:
        """The text as it can stand in a column that holds ``most`` characters."""
        found = {each: other for each in set(text) if (other := self.substitute(each)) is not None}
        self._replaced |= found
        whole = tamed(text.translate({ord(each): other for each, other in found.items()}))
        self._cut += 0 if most is None else max(len(whole) - most, 0)
        return whole[:most]

    @property
    def remark(self) -> str | None:
        """What was altered, in a sentence; ``None`` when nothing was."""
        told = [f"{_name(was)} became {_name(now)}" for was, now in sorted(self._replaced.items())]
        if len(told) > _MOST_TOLD:
            told[_MOST_TOLD:] = [f"{len(told) - _MOST_TOLD} more characters were replaced"]
        if self._cut:
            told.append(f"{self._cut} characters were cut off")
        return "; ".join(told) + "." if told else None


def encodable(encoding: str) -> Callable[[str], str | None]:
    """Stand-ins for what an encoding does not have: the letter without its marks if it has that, else ``?``."""

    def has(character: str) -> bool:
        try:
            character.encode(encoding)
        except UnicodeEncodeError:
            return False
        return True

    def stand_in(character: str) -> str | None:
        if has(character):
            return None
        return "".join(filter(has, unicodedata.normalize("NFKD", character))) or "?"

    return stand_in


def _name(text: str) -> str:
    if len(text) == 1 and (not text.isprintable() or text.isspace()):
        return "a space" if text == " " else f"U+{ord(text):04X}"
    return f'"{text}"'
