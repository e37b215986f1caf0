"""From a job's JSON to the batch that an adapter gets. The database checked it: what does not fit is a bug."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from worker.contract import Batch, Line, Sending, Voucher

_NEVER = datetime.max.replace(tzinfo=UTC)


def batch_of(job: Mapping[str, Any]) -> Batch:
    """The batch of a job, in the order of its items."""
    return Batch(
        correlation_id=UUID(job["correlationId"]),
        sendings=tuple(map(_sending, job["items"])),
        only_reads=job["kind"] == "reconcile",
    )


def _sending(item: Mapping[str, Any]) -> Sending:
    sent_at = item.get("sentAt")
    return Sending(
        voucher=_voucher(item["voucher"]),
        attempt=item["attempt"],
        sent_at=datetime.fromisoformat(sent_at) if sent_at else _NEVER,
        answered=bool(item.get("answered")),
        external_id=item.get("externalId"),
        recovered=bool(item.get("recovered")),
        last_look=bool(item.get("lastLook")),
        vehicle=item.get("vehicle"),
        revocable=bool(item.get("revocable", True)),
    )


def _voucher(voucher: Mapping[str, Any]) -> Voucher:
    return Voucher(
        reference=voucher["reference"],
        voucher_number=voucher["voucherNumber"],
        revision=voucher["revision"],
        claim_id=UUID(voucher["claimId"]),
        claim_number=voucher["claimNumber"],
        posting_date=date.fromisoformat(voucher["postingDate"]),
        document_date=date.fromisoformat(voucher["documentDate"]),
        currency=voucher["currency"],
        description=voucher["description"],
        lines=tuple(map(_line, voucher["lines"])),
        claimant_reference=voucher.get("claimantReference"),
        documentation_url=voucher.get("documentationUrl"),
    )


def _line(line: Mapping[str, Any]) -> Line:
    return Line(
        line_no=line["lineNo"],
        account=line["account"],
        amount=Decimal(line["amount"]),
        description=line["description"],
        vat_code=line.get("vatCode"),
        dimensions=line.get("dimensions") or {},
        subledger=line.get("subledger"),
    )
