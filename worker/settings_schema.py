"""The settings that every accounting system shares; an adapter's own are added by a subclass.

The database checks them at INSERT against the JSON schema that ``bilag migrate`` announces, so a field says its limits
with ``pattern``, ``ge`` and ``Literal``, which survive the translation, and not in a validator, which does not.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

DISCRIMINATOR = "integration_type"

_KEPT = ("type", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "default", "description")


class AdapterSettings(BaseModel):
    """Settings without secrets. A subclass fixes ``integration_type`` to the ``Literal`` of its key, for the union."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    integration_type: str
    currency: str = Field("NOK", pattern="^[A-Z]{3}$", description="The ledger's own currency, ISO 4217.")
    settlement_account: str = Field(
        min_length=1, max_length=40, description="The account that the claimant's money is owed on."
    )
    settlement: Literal["account", "subledger"] = Field(
        "account",
        description="account: one settlement account; subledger: also the claimant's own, by claimant_reference.",
    )
    posting_date: Literal["approved", "expense", "period_end"] = Field(
        "approved",
        description="Which day a voucher is posted on: that of the approval, of the expense, or the period's last.",
    )
    closed_period: Literal["move", "reject"] = Field(
        "move", description="A posting date in closed books: move it to the first open day, or reject the claim."
    )
    slow_after_ms: int = Field(
        3000,
        ge=1,
        le=10_000,
        description="A health check that is answered later than this finds the connection degraded; in milliseconds.",
    )
    voucher_number_from: int = Field(1, ge=1, le=2_000_000_000, description="The first voucher number.")


def json_schema(model: type[AdapterSettings]) -> dict[str, Any]:
    """The model's schema, flat, in the few words that the check in SQL knows.

    A setting that may be null has a ``type`` that lists it. The discriminator is not a setting: it is the
    integration's type, a column of its own.
    """
    schema = model.model_json_schema()
    properties = {name: _flat(field) for name, field in schema["properties"].items() if name != DISCRIMINATOR}
    return {
        "type": "object",
        "title": schema["title"],
        "description": model.__doc__ or "",
        "properties": properties,
        "required": [name for name in schema.get("required", []) if name != DISCRIMINATOR],
        "additionalProperties": False,
    }


def _flat(field: dict[str, Any]) -> dict[str, Any]:
    """One property without ``anyOf``: ``X | None`` becomes X with null beside its type."""
    options = field.get("anyOf")
    if options is None:
        return {key: field[key] for key in _KEPT if key in field}
    named = [option for option in options if option.get("type") != "null"]
    if len(named) != 1 or len(options) != 2:
        raise TypeError("a setting is one simple type, or that type or null")
    merged = {**named[0], **field, "type": [named[0]["type"], "null"]}
    if "enum" in merged:
        merged["enum"] = [*merged["enum"], None]
    return {key: merged[key] for key in _KEPT if key in merged}
