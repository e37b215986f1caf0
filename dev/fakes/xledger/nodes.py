"""How Xledger shows what it holds: queue rows, import errors, journal entries, headers and transactions as nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dev.fakes.ledger import Booked, Entry
from dev.fakes.xledger.books import FIELDS, ImportFault, Owner, Row

Node = dict[str, Any]
Id = Callable[[int], int | str]
"""How a dbId is shown: as a string, or as a number."""

PLAIN = (
    *("trRegNumber", "trItemNumber", "extIdentifier", "invoiceNumber", "extOrderNumber", "yourReference", "text"),
    *("amount", "invoiceAmount", "regAmount", "quantity", "exchangeRate", "postedDate", "invoiceDate", "dueDate"),
)
LEVELS = {1: "Import", 2: "Validate", 3: "Post"}


def owner_node(owner: Owner, shown: Id) -> Node:
    own = shown(owner.db_id)
    return {"dbId": own, "code": owner.code, "description": owner.name, "ownerDbId": own}


def references(owner: Owner, node: Mapping[str, Any], shown: Id) -> Node:
    """Every reference of a row as an object, and its dbId beside it."""
    found: Node = {}
    for name, register in FIELDS.items():
        given = node.get(name)
        if given is not None:
            db_id = shown(owner.id_of(register, given["code"])) if given["code"] in getattr(owner, register) else None
            found[name] = {"dbId": db_id, "code": given["code"], "description": given["description"]}
            found[name]["ownerDbId"] = shown(owner.db_id)
            found[f"{name}DbId"] = db_id
    return found


def queue_row(row: Row, shown: Id) -> Node:
    level = (row.node.get("jobLevel") or {}).get("dbSubId") or 1
    return {
        **{name: row.node.get(name) for name in PLAIN},
        **references(row.owner, row.node, shown),
        "dbId": shown(row.db_id),
        "createdAt": row.created_at,
        "modifiedAt": row.modified_at,
        "ownerDbId": shown(row.owner.db_id),
        "owner": owner_node(row.owner, shown),
        "jobLevelDbId": shown(14_500 + level),
        "jobLevel": {"dbId": shown(14_500 + level), "dbSubId": level, "name": LEVELS.get(level)},
        "importDefinitionDbId": None,
    }


def import_error(fault: ImportFault, shown: Id) -> Node:
    """``transactionDbId`` is the queue row that the error is about (an inference: the contract only has the name)."""
    return {
        "dbId": shown(fault.db_id),
        "createdAt": fault.created_at,
        "message": fault.message,
        "errorLevel": {"dbId": shown(14_603), "dbSubId": 3, "code": "ERROR", "name": "Error"},
        "errorLevelDbId": shown(14_603),
        "transactionDbId": shown(fault.row.db_id),
        "ownerDbId": shown(fault.owner.db_id),
        "owner": owner_node(fault.owner, shown),
    }


def header(voucher: Booked, owner: Owner, shown: Id) -> Node:
    source = voucher.entries[0].vendor.get("node", {}).get("transactionSource")
    return {
        "dbId": shown(voucher.header_id),
        "transactionNumber": voucher.number,
        "text": voucher.entries[0].text,
        "postedDate": voucher.posted_date,
        "createdAt": voucher.booked_at,
        "modifiedAt": voucher.booked_at,
        "importedAt": voucher.booked_at,
        "registeredAt": voucher.booked_at,
        "ownerDbId": shown(owner.db_id),
        "fiscalYear": voucher.posted_date.year,
        "transactionSource": source,
        "jobLevel": {"dbId": shown(14_503), "dbSubId": 3, "name": LEVELS[3]},
    }


def journal_entry(voucher: Booked, entry: Entry, shown: Id) -> Node:
    owner: Owner = entry.vendor["owner"]
    row: Mapping[str, Any] = entry.vendor["node"]
    return {
        **references(owner, row, shown),
        **{
            name: row.get(name) for name in ("invoiceNumber", "extIdentifier", "text", "invoiceAmount", "yourReference")
        },
        **{name: row.get(name) for name in ("invoiceDate", "dueDate")},
        "dbId": shown(entry.entry_id),
        "transactionNumber": voucher.number,
        "amount": entry.amount,
        "regAmt": entry.amount,
        "postedDate": voucher.posted_date,
        "createdAt": voucher.booked_at,
        "modifiedAt": voucher.booked_at,
        "ownerDbId": shown(owner.db_id),
        "fiscalYear": voucher.posted_date.year,
        "fiscalPeriod": voucher.posted_date.month,
        "transactionHeader": header(voucher, owner, shown),
    }


def transaction(voucher: Booked, entry: Entry, position: int, shown: Id) -> Node:
    owner: Owner = entry.vendor["owner"]
    row: Mapping[str, Any] = entry.vendor["node"]
    return {
        **references(owner, row, shown),
        "dbId": shown(entry.entry_id),
        "text": entry.text,
        "amount": entry.amount,
        "invoiceAmount": row.get("invoiceAmount"),
        "ownerDbId": shown(owner.db_id),
        "monthNumber": voucher.posted_date.month,
        "periodNumber": voucher.posted_date.month,
        "positionNumber": position,
        "header": header(voucher, owner, shown),
    }


def journal_header(voucher: Booked, shown: Id) -> Node:
    return {
        "dbId": shown(voucher.header_id),
        "trRegNumber": voucher.voucher_number,
        "transactionNumber": voucher.number,
        "transProcessLevel": {"dbId": shown(14_703), "dbSubId": 3, "name": "Posted"},
    }
