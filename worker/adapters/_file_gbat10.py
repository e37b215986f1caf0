"""GBAT10: one line of semicolon separated columns per line of a voucher. Every fact is from nordic-systems, section 9.

It gives the columns 0 to 29, their widths, and which are required; what follows the 29th is not known there. It names
no rule for quoting, so a text holds no semicolon and no quotation mark. What it leaves open is inferred:

* the period is the month of the posting date, the year its year;
* the saldo has a decimal point and is signed, debit positive;
* a line without VAT has VAT code 0, as other Norwegian systems write it;
* a line with VAT is gross: claims are paid with their VAT;
* the claimant of a subledger line is a supplier, for the organisation owes them money;
* the invoice number is our reference, for the format has no column for an outside system's id.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping

from worker.adapters._file_csv import words
from worker.adapters._file_settings import FileSettings
from worker.adapters._file_text import Misfit, Rendered, Scribe, encodable, tamed
from worker.contract import Frame, Line, Voucher

_COLUMNS = 30
_TEXT = 100
_LARGEST_NUMBER = 99_999_999
_DIMENSIONS = {"PROJECT": (23, 6), "DEPARTMENT": (24, 4)}
_INSTEAD = {";": ",", '"': "'"}


def frame(encoding: str) -> Frame:
    return Frame("gbat10.csv", f"text/csv; charset={encoding}; header=absent")


def render(voucher: Voucher, settings: FileSettings) -> Rendered:
    """Raises Misfit when a number or a code is wider than its column: those are never cut."""
    if voucher.currency != settings.currency:
        raise Misfit("currency_unsupported", currency=voucher.currency, ledgerCurrency=settings.currency)
    if voucher.voucher_number > _LARGEST_NUMBER:
        raise Misfit.of("voucher number", voucher.voucher_number, "at most 8 digits")
    scribe = Scribe(_substitute(settings.encoding))
    lines = [";".join(_columns(voucher, line, settings, scribe)) + "\r\n" for line in voucher.lines]
    return Rendered("".join(lines).encode(settings.encoding), scribe.remark)


def _columns(voucher: Voucher, line: Line, settings: FileSettings, scribe: Scribe) -> list[str]:
    day, amount, encoding = voucher.posting_date, format(line.amount, ".2f"), settings.encoding
    text = scribe.text(_words(voucher, line), _TEXT)
    known = {
        0: "GBAT10",
        1: str(voucher.voucher_number),
        2: day.strftime("%Y%m%d"),
        3: settings.voucher_type,
        4: str(day.month),
        5: str(day.year),
        6: _code("account", line.account, encoding, 4),
        7: _code("VAT code", line.vat_code or "0", encoding),
        8: amount,
        15: voucher.reference,
        20: text,
    }
    if line.subledger:
        known |= {10: _code("claimant reference", line.subledger, encoding), 21: text}
    if line.vat_code:
        known |= {26: "T", 27: amount}
    known |= _dimensions(line.dimensions, encoding)
    return [known.get(column, "") for column in range(_COLUMNS)]


def _words(voucher: Voucher, line: Line) -> str:
    text = words(voucher, line)
    return text if voucher.claim_number in text else f"{voucher.claim_number} {text}"


def _dimensions(dimensions: Mapping[str, str], encoding: str) -> dict[int, str]:
    found = {}
    for name, value in dimensions.items():
        if name.upper() not in _DIMENSIONS:
            raise Misfit("dimension_unsupported", dimension=name)
        column, width = _DIMENSIONS[name.upper()]
        found[column] = _code(name.lower(), str(value), encoding, width)
    return found


def _code(name: str, code: str, encoding: str, width: int | None = None) -> str:
    """A code as it is: another one would name something else."""
    substitute = _substitute(encoding)
    strange = [character for character in code if substitute(character) is not None]
    if strange or tamed(code) != code or not code:
        raise Misfit.of(name, code, "a code of letters and digits")
    if width is not None and len(code) > width:
        raise Misfit.of(name, code, f"at most {width} characters")
    return code


def _substitute(encoding: str) -> Callable[[str], str | None]:
    stand_in = encodable(encoding)

    def instead(character: str) -> str | None:
        if character in _INSTEAD:
            return _INSTEAD[character]
        if unicodedata.category(character) in ("Cc", "Zl", "Zp"):
            return " "
        return stand_in(character)

    return instead
