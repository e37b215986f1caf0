"""The entity types and their properties, as the captured ``$metadata`` has them [EDMX] (A4, A12).

Left out is what no exporter needs: most of ``vendor``, the consolidation of accounts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dev.fakes.dynamics365.edm import ACCOUNT_TYPES, Property
from dev.fakes.dynamics365.errors import malformed

ID = Property("Guid")
WHEN = Property("DateTimeOffset")
SUM = Property("Decimal")
YES_NO = Property("Boolean")
TYPE = Property("Enum", options=ACCOUNT_TYPES)
DOCUMENTS = (" ", "Payment", "Invoice", "Credit Memo", "Finance Charge Memo", "Reminder", "Refund")
CATEGORIES = (" ", "Assets", "Liabilities", "Equity", "Income", "Cost of Goods Sold", "Expense")
PARENTS = (" ", "Journal Line", "General Ledger Entry")
CODED = {"id": ID, "code": Property("Code", 20), "displayName": Property("String", 100), "lastModifiedDateTime": WHEN}

ENTITIES: dict[str, dict[str, Property]] = {
    "company": {
        "id": ID,
        **dict.fromkeys(("systemVersion", "businessProfileId"), Property("String", 250)),
        "timestamp": Property("Int64"),
        "name": Property("String", 30),
        "displayName": Property("String", 250),
        **dict.fromkeys(("systemCreatedAt", "systemModifiedAt"), WHEN),
        **dict.fromkeys(("systemCreatedBy", "systemModifiedBy"), ID),
    },
    "account": {
        "id": ID,
        "number": Property("Code", 20),
        "displayName": Property("String", 100),
        "category": Property("Enum", options=CATEGORIES),
        "subCategory": Property("String", 80),
        "blocked": YES_NO,
        "accountType": Property("Enum", options=("Posting", "Heading", "Total", "Begin-Total", "End-Total")),
        "directPosting": YES_NO,
        "netChange": SUM,
        "lastModifiedDateTime": WHEN,
    },
    "taxGroup": {**CODED, "taxType": Property("Enum", options=("Sales Tax", "VAT"))},
    "dimension": {**CODED, "consolidationCode": Property("Code", 20)},
    "dimensionValue": {**CODED, "dimensionId": ID, "consolidationCode": Property("Code", 20)},
    "vendor": {"id": ID, "number": Property("Code", 20), "displayName": Property("String", 100)},
    "generalLedgerSetup": {
        "id": ID,
        **dict.fromkeys(("allowPostingFrom", "allowPostingTo"), Property("Date")),
        "localCurrencyCode": Property("Code", 10),
        "lastModifiedDateTime": WHEN,
    },
    "journal": {
        "id": ID,
        "code": Property("Code", 10),
        "displayName": Property("String", 100),
        "templateDisplayName": Property("Code", 10),
        "lastModifiedDateTime": WHEN,
        "balancingAccountId": ID,
        "balancingAccountNumber": Property("Code", 20),
    },
    "journalLine": {
        "id": ID,
        "journalId": ID,
        "journalDisplayName": Property("String"),
        "lineNumber": Property("Int32"),
        "accountType": TYPE,
        "accountId": ID,
        "accountNumber": Property("Code", 20),
        "postingDate": Property("Date"),
        "documentNumber": Property("Code", 20),
        "externalDocumentNumber": Property("Code", 35),
        "amount": SUM,
        "description": Property("String", 100),
        "comment": Property("String", 250),
        "taxCode": Property("Code", 20),
        "balanceAccountType": TYPE,
        "balancingAccountId": ID,
        "balancingAccountNumber": Property("Code", 20),
        "lastModifiedDateTime": WHEN,
    },
    "dimensionSetLine": {
        "id": ID,
        "code": Property("Code", 20),
        "consolidationCode": Property("Code", 20),
        "parentId": ID,
        "parentType": Property("Enum", options=PARENTS),
        "displayName": Property("String", 30),
        "valueId": ID,
        "valueCode": Property("Code", 20),
        "valueConsolidationCode": Property("Code", 20),
        "valueDisplayName": Property("String", 50),
    },
    "generalLedgerEntry": {
        "id": ID,
        "entryNumber": Property("Int32"),
        "postingDate": Property("Date"),
        "documentNumber": Property("Code", 20),
        "documentType": Property("Enum", options=DOCUMENTS),
        "accountId": ID,
        "accountNumber": Property("Code", 20),
        "description": Property("String", 100),
        **dict.fromkeys(("debitAmount", "creditAmount"), SUM),
        **dict.fromkeys(("additionalCurrencyDebitAmount", "additionalCurrencyCreditAmount"), SUM),
        "lastModifiedDateTime": WHEN,
    },
}


def read(entity: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """A request's body as values, in the order in which they were sent. Raises BcError."""
    properties = ENTITIES[entity]
    for name in body:
        if name not in properties:
            raise malformed(
                f"The property '{name}' does not exist on type 'Microsoft.NAV.{entity}'. Make sure to only use"
                " property names that are defined by the type."
            )
    return {name: properties[name].read(name, value) for name, value in body.items()}


def property_of(entity: str, name: str) -> Property:
    """The property of this name. Raises BcError when the entity type has none."""
    if name not in ENTITIES[entity]:
        raise malformed(f"Could not find a property named '{name}' on type 'Microsoft.NAV.{entity}'.")
    return ENTITIES[entity][name]
