"""CSV by RFC 4180: UTF-8, a header, lines that end in CR LF, quotes where they are needed, a decimal point.

One row per line of a voucher; amounts are signed, debit positive, and those of a voucher sum to zero. ``dimensions`` is
a JSON object; the subledger of a line, where there is one, stands in it as ``SUBLEDGER``. The address of the claim's
documentation follows the text of its last line, the settlement. A text is as long as a spreadsheet's cell can be.
"""

from __future__ import annotations

import csv
import io
import json

from worker.adapters._file_text import Rendered, Scribe, encodable
from worker.contract import Frame, Line, Voucher

COLUMNS = (
    "voucher_number",
    "posting_date",
    "account_code",
    "amount",
    "currency",
    "vat_code",
    "description",
    "claim_number",
    "reference",
    "dimensions",
)

FRAME = Frame("csv", "text/csv; charset=utf-8; header=present", head=(",".join(COLUMNS) + "\r\n").encode("ascii"))

_stand_in = encodable("utf-8")
_CELL = 32_767


def render(voucher: Voucher) -> Rendered:
    scribe = Scribe(lambda character: "\ufffd" if character == "\0" else _stand_in(character))
    sink = io.StringIO(newline="")
    csv.writer(sink, lineterminator="\r\n").writerows(_row(voucher, line, scribe) for line in voucher.lines)
    return Rendered(sink.getvalue().encode("utf-8"), scribe.remark)


def _row(voucher: Voucher, line: Line, scribe: Scribe) -> list[str]:
    return [
        str(voucher.voucher_number),
        voucher.posting_date.isoformat(),
        scribe.text(line.account),
        format(line.amount, ".2f"),
        voucher.currency,
        scribe.text(line.vat_code or ""),
        scribe.text(words(voucher, line), _CELL),
        scribe.text(voucher.claim_number),
        voucher.reference,
        scribe.text(_dimensions(line)),
    ]


def words(voucher: Voucher, line: Line) -> str:
    """A line's text; the settlement's also says where the documentation is."""
    if voucher.documentation_url and line is voucher.lines[-1]:
        return f"{line.description} {voucher.documentation_url}"
    return line.description


def _dimensions(line: Line) -> str:
    values = dict(line.dimensions) | ({"SUBLEDGER": line.subledger} if line.subledger else {})
    return json.dumps(values, ensure_ascii=False, sort_keys=True)
