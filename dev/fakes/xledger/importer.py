"""Xledger's import job: what moves rows from the import queue into the ledger, or says why it does not.

An accepted mutation is not a posted voucher: rows wait, the job validates whole vouchers by ``trRegNumber``, posts the
good ones and leaves the others in the queue with a row in ``glImportItemErrors``. The job does not know a voucher that
it has seen before: two copies waiting together become one voucher with all lines twice, a copy that comes later becomes
a second voucher.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from dev.fakes.ledger import Booked, Entry, Ledger
from dev.fakes.xledger.books import Books, ImportFault, Row

DIMENSIONS = ("glObject1", "glObject2", "glObject3", "glObject4", "glObject5", "project", "product")
REQUIRED = ("trRegNumber", "postedDate", "account", "amount", "transactionSource")


def import_due(books: Books, ledger: Ledger, now: datetime) -> None:
    """Import every voucher that has waited long enough and was not refused before."""
    for rows in books.vouchers_in_queue():
        due = [row.due_at for row in rows if not row.refused]
        if due and all(moment is not None and moment <= now for moment in due):
            import_voucher(books, ledger, rows, max(moment for moment in due if moment is not None))


def import_all(books: Books, ledger: Ledger, now: datetime) -> None:
    """Import everything that can be imported, also what was refused before."""
    for rows in books.vouchers_in_queue():
        import_voucher(books, ledger, rows, now)


def import_voucher(books: Books, ledger: Ledger, rows: Sequence[Row], now: datetime) -> None:
    """Post the voucher, or leave it in the queue with an error per reason."""
    books.forget_errors(row.db_id for row in rows)
    faults = faults_of(rows)
    for row, message in faults:
        fault = ImportFault(next(books.ids), row.owner, row, message, now)
        books.errors[fault.db_id] = fault
    for row in rows:
        row.refused = bool(faults)
    if not faults:
        post(books, ledger, rows, now, by="import")


def faults_of(rows: Sequence[Row]) -> list[tuple[Row, str]]:
    """Why the voucher cannot be posted."""
    first = rows[0]
    found = [(row, f"{name} is missing.") for row in rows for name in REQUIRED if row.node.get(name) is None]
    balance = sum((row.node.get("amount", Decimal(0)) for row in rows), Decimal(0))
    if balance != 0:
        found.append((first, f"Transaction {first.number} is not in balance. Difference: {balance}."))
    closed = first.owner.closed_until
    posted = first.node.get("postedDate")
    if closed is not None and posted is not None and posted <= closed:
        found.append((first, f"Transaction {first.number}: the period {posted:%Y-%m} is closed."))
    if len({row.node.get("postedDate") for row in rows}) > 1:
        found.append((first, f"Transaction {first.number} has several posting dates."))
    return found


def post(books: Books, ledger: Ledger, rows: Sequence[Row], now: datetime, *, by: str) -> Booked:
    """Book the rows as one voucher and take them out of the queue."""
    first = rows[0]
    voucher = Booked(
        header_id=next(books.ids),
        number=next(books.numbers),
        reference=first.reference,
        voucher_number=first.number,
        owner=first.owner.code,
        posted_date=first.node.get("postedDate") or now.date(),
        booked_at=now,
        currency=_code(first, "currency") or "NOK",
        entries=tuple(_entry(next(books.ids), row) for row in rows),
        deliveries=len({row.delivery for row in rows}),
        by=by,
    )
    ledger.book(voucher)
    books.remove([row.db_id for row in rows])
    return voucher


def _entry(entry_id: int, row: Row) -> Entry:
    dimensions = {name: code for name in DIMENSIONS if (code := _code(row, name)) is not None}
    return Entry(
        entry_id=entry_id,
        account=_code(row, "account") or "",
        amount=row.node.get("amount", Decimal(0)),
        text=row.node.get("text") or "",
        vat_code=_code(row, "taxRule"),
        subledger=_code(row, "subledger"),
        line_reference=row.node.get("extIdentifier"),
        dimensions=dimensions,
        vendor={"owner": row.owner, "node": row.node},
    )


def _code(row: Row, name: str) -> str | None:
    given: dict[str, Any] | None = row.node.get(name)
    return None if given is None else str(given["code"])
