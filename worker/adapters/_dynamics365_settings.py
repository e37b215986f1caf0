"""What a connection to Business Central is set to, beside what all systems share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from worker.settings_schema import AdapterSettings


class Dynamics365Settings(AdapterSettings):
    """Settings of a connection to one company. The credential is {"client_id": "…", "client_secret": "…"}."""

    integration_type: Literal["dynamics365"] = "dynamics365"
    base_url: str = Field(
        pattern=r"^https?://[^\s{}?#]+$",
        description="https://api.businesscentral.dynamics.com/v2.0/{environment}/api/v2.0.",
    )
    company_id: str = Field(
        pattern="^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$", description="The id of the company, a GUID."
    )
    token_url: str = Field(
        pattern=r"^https?://[^\s{}?#]+$",
        description="https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token.",
    )
    post: bool = Field(True, description="false: the lines wait in their journal for a person to post them.")
