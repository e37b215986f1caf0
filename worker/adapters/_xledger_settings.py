"""What a connection to Xledger is set to, beside what all systems share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from worker.settings_schema import AdapterSettings


class XledgerSettings(AdapterSettings):
    """Settings of a connection to Xledger. The credential is the API token of the entity."""

    integration_type: Literal["xledger"] = "xledger"
    base_url: str = Field(
        "https://www.xledger.net/graphql", pattern=r"^https?://\S+$", description="The GraphQL endpoint."
    )
    transaction_source: str = Field("GL", min_length=1, description="The code of the transaction source.")
    owner_code: str | None = Field(
        None, min_length=1, description="The entity to book in, when it is not the token's own."
    )
    gl_object_1: str | None = Field("DEPARTMENT", description="Which of our dimensions is posting dimension 1.")
    gl_object_2: str | None = Field(None, description="Which of our dimensions is posting dimension 2.")
    gl_object_3: str | None = Field(None, description="Which of our dimensions is posting dimension 3.")
    gl_object_4: str | None = Field(None, description="Which of our dimensions is posting dimension 4.")
    gl_object_5: str | None = Field(None, description="Which of our dimensions is posting dimension 5.")

    @property
    def dimension_names(self) -> dict[str, str]:
        """Our names of dimensions to Xledger's fields. What the five posting dimensions hold is each customer's choice.

        The first is the cost centre by default, as others use it [T X7]. Beside these, ``GLOBJECT1`` to ``GLOBJECT5``,
        ``PROJECT`` and ``PRODUCT`` always work; upper and lower case are the same.
        """
        names = (self.gl_object_1, self.gl_object_2, self.gl_object_3, self.gl_object_4, self.gl_object_5)
        return {name: f"glObject{number}" for number, name in enumerate(names, start=1) if name}
