"""The schema that the database checks settings against."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import Field

from worker.settings_schema import AdapterSettings, json_schema


class Settings(AdapterSettings):
    """Settings of a system."""

    integration_type: Literal["one"] = "one"
    format: Literal["csv", "gbat10"] = "csv"
    company: str | None = Field(None, min_length=1, description="Whose books.")
    level: Literal["a", "b"] | None = None
    post: bool = True


def test_the_common_settings_have_these_names_limits_and_defaults() -> None:
    properties = json_schema(Settings)["properties"]
    assert properties["currency"] == {
        "type": "string",
        "pattern": "^[A-Z]{3}$",
        "default": "NOK",
        "description": "The ledger's own currency, ISO 4217.",
    }
    choices = {name: (field["enum"], field["default"]) for name, field in properties.items() if "enum" in field}
    assert choices["settlement"] == (["account", "subledger"], "account")
    assert choices["posting_date"] == (["approved", "expense", "period_end"], "approved")
    assert choices["closed_period"] == (["move", "reject"], "move")
    assert (properties["voucher_number_from"]["minimum"], properties["voucher_number_from"]["default"]) == (1, 1)


def test_only_what_has_no_default_is_required() -> None:
    assert json_schema(Settings)["required"] == ["settlement_account"]


def test_the_type_is_not_among_the_settings_and_nothing_else_is_allowed() -> None:
    schema = json_schema(Settings)
    assert "integration_type" not in schema["properties"]
    assert (schema["additionalProperties"], schema["description"]) == (False, "Settings of a system.")


@pytest.mark.parametrize(
    ("name", "flat"),
    [
        ("company", {"type": ["string", "null"], "minLength": 1, "default": None, "description": "Whose books."}),
        ("level", {"type": ["string", "null"], "enum": ["a", "b", None], "default": None}),
        ("post", {"type": "boolean", "default": True}),
        ("format", {"type": "string", "enum": ["csv", "gbat10"], "default": "csv"}),
    ],
)
def test_a_setting_is_flat_also_when_it_may_be_null(name: str, flat: dict[str, Any]) -> None:
    assert json_schema(Settings)["properties"][name] == flat


def test_a_setting_of_several_types_is_refused() -> None:
    class Wrong(AdapterSettings):
        either: int | str = 1

    with pytest.raises(TypeError):
        json_schema(Wrong)
