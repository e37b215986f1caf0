"""Files: a run becomes one file of its vouchers, which a person imports. Nothing is sent, nobody answers.

CSV by RFC 4180, or GBAT10, the import format that Tripletex, Visma eAccounting, 24SevenOffice and PowerOffice read
[N 9]. A voucher that is rendered is exported: its bytes are kept in the transaction that says so, and the database puts
the file together when the run ends. So ``find`` needs to ask nobody: what was not reported with its bytes has not
happened. Only after a restore is that not known, for somebody may have imported a file that the database forgot.

N: nordic-systems, the collected facts on Nordic formats; what each column holds stands in ``_file_gbat10.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

from worker.adapters import _file_csv, _file_gbat10
from worker.adapters._file_settings import FileSettings
from worker.adapters._file_text import Misfit
from worker.contract import (
    Adapter,
    Batch,
    Call,
    Capabilities,
    Finding,
    Frame,
    Health,
    HealthResult,
    Outcome,
    Presence,
    Sending,
    Verdict,
    Voucher,
)
from worker.settings_schema import AdapterSettings


class FileAdapter(Adapter):
    key = "file"
    display_name = "File (CSV or GBAT10)"
    settings_model = FileSettings
    capabilities = Capabilities(
        vouchers_per_batch=500,
        lines_per_batch=5000,
        needs_credential=False,
        foreign_currency=True,
        own_currency_when={"format": "gbat10"},  # none of its columns names a currency [N 9]
        makes_file=True,
    )

    async def post(self, batch: Batch, call: Call) -> Sequence[Outcome]:
        """Render each voucher. One that the format has no room for is rejected."""
        settings = cast("FileSettings", call.settings)
        return [_outcome(voucher, settings) for voucher in batch.vouchers]

    async def find(self, batch: Batch, call: Call) -> Sequence[Finding]:
        return [_finding(sending) for sending in batch.sendings]

    def frame(self, settings: AdapterSettings) -> Frame:
        own = cast("FileSettings", settings)
        return _file_csv.FRAME if own.format == "csv" else _file_gbat10.frame(own.encoding)

    async def check(self, call: Call) -> HealthResult:
        """There is nobody to ask."""
        return HealthResult(Health.HEALTHY, 0, datetime.now(UTC))


def _outcome(voucher: Voucher, settings: FileSettings) -> Outcome:
    try:
        rendered = _file_csv.render(voucher) if settings.format == "csv" else _file_gbat10.render(voucher, settings)
    except Misfit as misfit:
        return Outcome(voucher.reference, Verdict.REJECTED, None, misfit.reason_code, misfit.params)
    remark = "text_altered" if rendered.remark else None
    params = {"message": rendered.remark} if rendered.remark else {}
    number = str(voucher.voucher_number)
    return Outcome(
        voucher.reference, Verdict.EXPORTED, number, reason_code=remark, reason_params=params, content=rendered.content
    )


def _finding(sending: Sending) -> Finding:
    reference = sending.voucher.reference
    if sending.recovered and not sending.last_look:
        said = "Whether a file that the database forgot was imported, only a person knows."
        return Finding(reference, Presence.UNKNOWN, message=said)
    return Finding(reference, Presence.ABSENT)
