"""A voucher as Xledger's import queue takes it, and what the queue's answers say of it.

The queue is given one row per line by ``addGLImportItems`` [C X2]; the rows of a voucher share ``trRegNumber`` and are
sent in one mutation, as the vendor advises [C X2]. Debit is positive, credit negative; amounts are sent as strings,
dates as YYYY-MM-DD [C X2]. ``clientId`` is echoed for each row [T X6]. References are by code [C X2].
Our reference travels in ``invoiceNumber`` and, with the line's number, in ``extIdentifier``, for the look-up; nobody
has seen Xledger refuse a second copy of either.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.adapters._xledger_graphql import Culprits
from worker.adapters._xledger_settings import XledgerSettings
from worker.contract import Line, Outcome, Verdict, Voucher

MUTATION = (
    "mutation($inputs: [AddGLImportItemsInput!]!) "  # the type's name: [T X6, X8]
    "{ addGLImportItems(inputs: $inputs) { edges { clientId node { dbId } } } }"
)
JOB_LEVEL = {"dbSubId": 1}  # as in the vendor's own example [C X2]; what other levels mean is not documented

POSTING_DIMENSIONS = ("glObject1", "glObject2", "glObject3", "glObject4", "glObject5", "project", "product")

_NO_MATCH = re.compile(r"(?:^|[.\]])(?P<field>\w+)\.\w+: No value matching owner \S+, code '(?P<code>.*?)'")  # [T X7]
_REASONS = {
    "account": "account_unknown",
    "subledger": "subledger_unknown",
    "taxRule": "vat_code_unknown",
    **dict.fromkeys(POSTING_DIMENSIONS, "dimension_unknown"),
}
_OF_THE_SETTINGS = frozenset({"owner", "transactionSource", "jobLevel", "currency"})


@dataclass(frozen=True, slots=True)
class Prepared:
    """What of a batch can be sent, and what is rejected before anything is."""

    vouchers: tuple[Voucher, ...]
    nodes: Mapping[str, Mapping[str, Any]]
    """One node per line, by its ``clientId``."""
    rejected: tuple[Outcome, ...]

    @property
    def inputs(self) -> list[dict[str, Any]]:
        return [{"clientId": client_id, "node": node} for client_id, node in self.nodes.items()]

    def blame(self, messages: Sequence[str]) -> Culprits | None:
        """The vouchers that these messages name by a code that they use; ``None`` when the settings are to blame."""
        named = [(match["field"], match["code"]) for text in messages for match in _NO_MATCH.finditer(text)]
        if any(field in _OF_THE_SETTINGS for field, _code in named):
            return None
        culprits = {outcome.reference: (outcome.reason_code or "", outcome.reason_params) for outcome in self.rejected}
        for field, code in named:
            for voucher in self._users(field, code):
                culprits.setdefault(voucher.reference, (_REASONS[field], {"code": code, "field": field}))
        return culprits

    def _users(self, field: str, code: str) -> Iterator[Voucher]:
        for voucher in self.vouchers if field in _REASONS else ():
            codes = (self.nodes[client_id(voucher, line)].get(field, {}).get("code") for line in voucher.lines)
            if code in codes:
                yield voucher


def prepare(vouchers: Sequence[Voucher], settings: XledgerSettings) -> Prepared:
    """Turn vouchers into rows. One with a dimension or currency that Xledger cannot take is rejected here."""
    rejected = {voucher.reference: outcome for voucher in vouchers if (outcome := _refusal(voucher, settings))}
    sendable = tuple(voucher for voucher in vouchers if voucher.reference not in rejected)
    nodes = {client_id(voucher, line): _node(voucher, line, settings) for voucher in sendable for line in voucher.lines}
    return Prepared(sendable, nodes, tuple(rejected.values()))


def client_id(voucher: Voucher, line: Line) -> str:
    return f"{voucher.reference}-{line.line_no}"


def outcomes(prepared: Prepared, data: Mapping[str, Any] | None) -> list[Outcome]:
    """What the mutation's answer says of each voucher: accepted if every one of its rows got an id, else unknown.

    An answer with rows that are not ours, or with two ids for one row, is not an answer to our question.
    """
    ids = _ids(data)
    is_ours = ids.keys() <= prepared.nodes.keys() and all(len(found) == 1 for found in ids.values())
    return [*prepared.rejected, *(_outcome(voucher, ids if is_ours else {}) for voucher in prepared.vouchers)]


def _outcome(voucher: Voucher, ids: Mapping[str, set[str]]) -> Outcome:
    found = [next(iter(ids.get(client_id(voucher, line), ())), None) for line in voucher.lines]
    if None in found:
        message = f"Xledger confirmed {len(found) - found.count(None)} of the voucher's {len(found)} rows."
        return Outcome(voucher.reference, Verdict.UNKNOWN, message=message)
    return Outcome(voucher.reference, Verdict.ACCEPTED, external_id=found[0])


def _ids(data: Mapping[str, Any] | None) -> dict[str, set[str]]:
    """The ids that each ``clientId`` got. An answer may be null at any depth; an id may be a number or a string."""
    result = (data or {}).get("addGLImportItems")
    edges = result.get("edges") if isinstance(result, Mapping) else None
    ids: dict[str, set[str]] = defaultdict(set)
    for edge in edges or ():
        node = edge.get("node") if isinstance(edge, Mapping) else None
        if isinstance(node, Mapping) and node.get("dbId") is not None:
            ids[str(edge.get("clientId"))].add(str(node["dbId"]))
    return ids


def _refusal(voucher: Voucher, settings: XledgerSettings) -> Outcome | None:
    if voucher.currency != settings.currency:
        params = {"currency": voucher.currency, "ledgerCurrency": settings.currency}
        return Outcome(voucher.reference, Verdict.REJECTED, reason_code="currency_unsupported", reason_params=params)
    names = (name for line in voucher.lines for name in line.dimensions)
    unknown = next((name for name in names if _field_of(name, settings) is None), None)
    if unknown is None:
        return None
    params = {"dimension": unknown}
    return Outcome(voucher.reference, Verdict.REJECTED, reason_code="dimension_unsupported", reason_params=params)


def _field_of(dimension: str, settings: XledgerSettings) -> str | None:
    """The field that a dimension goes into: one that the settings name so, else one that is called so there."""
    wanted = dimension.casefold()
    fields = {field.casefold(): field for field in POSTING_DIMENSIONS}
    fields |= {name.casefold(): field for name, field in settings.dimension_names.items()}
    return fields.get(wanted)


def _node(voucher: Voucher, line: Line, settings: XledgerSettings) -> dict[str, Any]:
    amount = format(line.amount, "f")
    codes = {
        "transactionSource": settings.transaction_source,
        "account": line.account,
        "currency": voucher.currency,
        "taxRule": line.vat_code,
        "subledger": line.subledger,
        "owner": settings.owner_code,
        **{_field_of(name, settings) or name: value for name, value in line.dimensions.items()},
    }
    return {
        "trRegNumber": voucher.voucher_number,
        "postedDate": voucher.posting_date.isoformat(),
        "invoiceDate": voucher.document_date.isoformat(),
        "amount": amount,
        "invoiceAmount": amount,
        "text": line.description,
        "invoiceNumber": voucher.reference,
        "extIdentifier": client_id(voucher, line),
        "jobLevel": JOB_LEVEL,
        **{field: {"code": code} for field, code in codes.items() if code},
    }
