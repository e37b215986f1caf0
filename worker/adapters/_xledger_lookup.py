"""What Xledger holds of vouchers: in its import queue, in its ledger, and among its import errors.

Vouchers travel from the queue to the ledger, and a row may move while we look. So the ledger is read last: a row that
was there when the queue was read is in the queue's answer or in the ledger's later one. Queue and ledger are asked for
in one request first, for that mostly decides; but the fields of one request may be read in any order, so whatever is
then not there as a whole is looked for in the ledger once more. A line seen in both places has moved in between, or is
there twice: the queue, read a last time, tells.

``glImportItems`` and ``journalEntries`` filter by ``modifiedAt_gte`` [T X6]; no filter of ``glImportItemErrors`` is
known. Pages go by the cursor of the last edge, at most 10,000 rows each [C X1, X4]. When empty, ``edges``, a connection
or all of ``data`` may be null [T X7]; but a glitch may look so too. An answer that carries the ``__typename`` that was
asked for as well is believed; without, the same is asked once more together with the chart of accounts.
That a posted row leaves the queue is an inference [I]: if it does not, look-ups say "more than once", and nothing more
is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from worker.adapters._xledger_graphql import ask
from worker.adapters._xledger_judgement import Evidence, Row, complaints_about, gather, judge, row_of
from worker.adapters._xledger_settings import XledgerSettings
from worker.contract import Batch, Call, Finding
from worker.errors import Executed, Malformed

PAGE = 5_000
"""Rows a page: half of what Xledger allows, so that three pages fit into one answer of the size that we read."""
MOST_PAGES = 40

OVERLAP = timedelta(minutes=15)
"""How far before the sending we look, for clocks that differ; the vendor's own client does the same [C X1]."""
CET = timedelta(hours=1)

_NODES = {
    "queue": ("glImportItems", "dbId trRegNumber extIdentifier invoiceNumber amount"),
    "ledger": ("journalEntries", "dbId extIdentifier invoiceNumber amount transactionNumber"),
    "errors": ("glImportItemErrors", "dbId transactionDbId message"),
}


_CONTROL = "control: accounts(first: 1) { edges { node { dbId } } }"
"""What no ledger is without: if this comes, then what does not come is not there [root: T X7]."""


async def look_up(batch: Batch, call: Call) -> Sequence[Finding]:
    """What Xledger holds of each voucher of the batch. Mostly one request. Raises AdapterError.

    A voucher whose lines are there more than once is ``unknown``, and says so: it is neither absent nor simply there.
    """
    look = _Look(call, batch)
    await look.at("queue", "ledger")
    if not all(evidence.is_settled for evidence in look.evidence):
        await look.at("ledger")
    if any(evidence.overlaps for evidence in look.evidence):
        await look.at_queue_again()
    if any(evidence.queued for evidence in look.evidence):
        await look.at("errors")
    complaints = complaints_about(look.evidence, look.errors.values())
    return [judge(evidence, complaints, is_complete=look.is_complete) for evidence in look.evidence]


@dataclass(slots=True)
class _Look:
    """One look-up as it goes on: our rows seen so far, by place and by their id there."""

    call: Call
    batch: Batch
    is_complete: bool = True
    rows: dict[str, dict[str, Row]] = field(default_factory=lambda: {"queue": {}, "ledger": {}})
    errors: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def evidence(self) -> list[Evidence]:
        return gather(self.batch.vouchers, self.rows["queue"].values(), self.rows["ledger"].values())

    async def at(self, *places: str) -> None:
        """Read these places to their end, all in the same requests."""
        cursors: dict[str, str | None] = dict.fromkeys(places)
        for _page in range(MOST_PAGES):
            data = await self._read(cursors)
            cursors = {
                place: cursor
                for place, before in cursors.items()
                if (cursor := self._keep(place, data.get(place) or {}, before)) is not None
            }
            if not cursors:
                return
        self.is_complete = False

    async def _read(self, cursors: Mapping[str, str | None]) -> Mapping[str, Any]:
        """One page of each place. Nothing counts as nothing only beside something that is surely there."""
        data = await ask(self.call, self._query(cursors), cursors)
        if data and data.keys() >= {*cursors, "__typename"}:
            return data
        data = await ask(self.call, self._query(cursors, _CONTROL), cursors)
        if not data or not data.keys() >= cursors.keys() or not (data.get("control") or {}).get("edges"):
            raise _unreadable("Xledger's answer has no data")
        return data

    async def at_queue_again(self) -> None:
        """Forget what has left the queue since, of the lines that were seen in the ledger too: they have moved."""
        before, self.rows["queue"] = self.rows["queue"], {}
        await self.at("queue")
        in_ledger = {(row.reference, row.line_no) for row in self.rows["ledger"].values()}
        unmoved = {key: row for key, row in before.items() if (row.reference, row.line_no) not in in_ledger}
        self.rows["queue"] |= unmoved

    def _keep(self, place: str, connection: Mapping[str, Any], before: str | None) -> str | None:
        """Keep what concerns us of a page; return the cursor of the next one, ``None`` when this was the last."""
        edges = [edge for edge in connection.get("edges") or () if edge]
        rows = [edge["node"] for edge in edges if edge.get("node")]
        # A row without a face may be ours.
        self.is_complete = self.is_complete and len(rows) == len(connection.get("edges") or ())
        for row in rows:
            self._keep_node(place, row)
        has_next = (connection.get("pageInfo") or {}).get("hasNextPage")
        if has_next is None:  # then only a page without rows is surely the last one
            has_next = bool(edges)
        cursor = str(edges[-1].get("cursor")) if edges else None
        if has_next and cursor in (None, "None", before):
            raise _unreadable("Xledger announces another page and does not say where it begins")
        return cursor if has_next else None

    def _keep_node(self, place: str, node: Mapping[str, Any]) -> None:
        if place == "errors":
            self.errors[str(node.get("dbId"))] = node
            return
        row = row_of(node, self._references)
        if row is not None:
            self.rows[place][row.row_id] = row

    @property
    def _references(self) -> set[str]:
        return {voucher.reference for voucher in self.batch.vouchers}

    def _query(self, cursors: Mapping[str, str | None], *more: str) -> str:
        variables = ", ".join(f"${place}: String" for place in cursors)
        roots = " ".join((*(self._root(place) for place in cursors), *more))
        return f"query({variables}) {{ {roots} __typename }}"

    def _root(self, place: str) -> str:
        name, node = _NODES[place]
        window = since(min(sending.sent_at for sending in self.batch.sendings))
        filters = "" if place == "errors" else f', filter: {{modifiedAt_gte: "{window}"}}'
        # The token reaches sub-entities; a list is of its own entity only unless told otherwise [values: T X6; I].
        owners = ", ownerSet: ALL" if cast("XledgerSettings", self.call.settings).owner_code else ""
        return (
            f"{place}: {name}(first: {PAGE}, after: ${place}{filters}{owners}) "
            f"{{ pageInfo {{ hasNextPage }} edges {{ cursor node {{ {node} }} }} }}"
        )


def since(sent_at: datetime) -> str:
    """The beginning of the window as Xledger stores time: local, without offset [C X1].

    Taken as CET all year: in summer that begins an hour early, and in the hour that the autumn repeats it is never
    late, whichever of the two a row was stored in.
    """
    return (sent_at.astimezone(UTC) - OVERLAP + CET).strftime("%Y-%m-%dT%H:%M:%S")


def _unreadable(message: str) -> Malformed:
    return Malformed(message, executed=Executed.NO, answered=True)
