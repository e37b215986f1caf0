"""An accountant's hands: what people do inside Xledger while Bilag is not looking."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from dev.fakes.ledger import Booked, Ledger
from dev.fakes.xledger.books import Books, Owner
from dev.fakes.xledger.importer import post


class Accountant:
    """Somebody with a screen and write access."""

    def __init__(self, books: Books, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._books, self._ledger, self._now = books, ledger, now

    def delete_posted(self, reference: str) -> int:
        """Delete every booked voucher with this reference; how many there were."""
        with self._ledger.lock:
            found = self._ledger.by_reference().get(reference, [])
            for voucher in found:
                self._ledger.delete(voucher)
            return len(found)

    def delete_queued(self, reference: str, lines: int | None = None) -> int:
        """Delete the voucher's rows from the import queue (the first ``lines`` of them); how many were deleted."""
        with self._ledger.lock:
            rows = self._books.queued(reference)[:lines]
            self._books.remove([row.db_id for row in rows])
            return len(rows)

    def post_leftover(self, reference: str) -> Booked:
        """Post by hand what the import job left in the queue, as it is. Raises ``LookupError`` if nothing is there."""
        with self._ledger.lock:
            rows = self._books.queued(reference)
            if not rows:
                raise LookupError(f"{reference} is not in the import queue")
            return post(self._books, self._ledger, rows, self._now(), by="accountant")

    def close_period(self, until: str | None, owner: str | None = None) -> None:
        """Close the books up to and with this day (``YYYY-MM-DD``); ``None`` opens them again."""
        for entity in self._entities(owner):
            entity.closed_until = None if until is None else date.fromisoformat(until)

    def add_codes(self, register: str, codes: dict[str, str], owner: str | None = None) -> None:
        """Add codes to a register (``accounts``, ``subledgers``, ``tax_rules``, ``objects``, ``projects``)."""
        for entity in self._entities(owner):
            getattr(entity, register).update(codes)

    def _entities(self, code: str | None) -> list[Owner]:
        return [entity for entity in self._books.owners() if code is None or entity.code == code]
