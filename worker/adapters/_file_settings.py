"""What a file export is set to, beside what all systems share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from worker.settings_schema import AdapterSettings


class FileSettings(AdapterSettings):
    """Settings of file exports. There is no credential."""

    integration_type: Literal["file"] = "file"
    format: Literal["csv", "gbat10"] = Field(description="csv: RFC 4180 in UTF-8; gbat10: the Norwegian import format.")
    encoding: Literal["utf-8", "windows-1252", "iso-8859-1"] = Field(
        "utf-8", description="Of a GBAT10 file. A CSV is always in UTF-8."
    )
    voucher_type: str = Field(
        "1", pattern="^[0-9]{1,3}$", description="The column bilagsart of GBAT10, as the importing system numbers them."
    )
