"""The structured failure that callers, rows and logs carry: seven keys, no more and no fewer (requirement E5)."""

from __future__ import annotations

from typing import Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from worker.errors import BilagError
from worker.redaction import LONGEST_MESSAGE


class FailurePayload(BaseModel):
    """How one invocation failed.

    ``is_retryable`` speaks of this invocation: it is false once the last retry is used up. Whether Bilag tries again
    by itself, and when, is what ``export_status`` says.
    """

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, populate_by_name=True)

    correlation_id: UUID
    error_class: Literal["transient", "permanent", "timeout"]
    http_status: int | None = Field(ge=100, le=599)
    adapter_name: str = Field(min_length=1)
    attempt: int = Field(ge=1)
    message: str = Field(max_length=LONGEST_MESSAGE)
    is_retryable: bool

    @classmethod
    def of(
        cls, error: BilagError, *, correlation_id: UUID, adapter_name: str, attempt: int, is_retryable: bool = False
    ) -> Self:
        """The payload of this error. A permanent error is never retryable, whatever the caller says."""
        return cls(
            correlation_id=correlation_id,
            error_class=error.error_class.value,
            http_status=error.http_status,
            adapter_name=adapter_name,
            attempt=attempt,
            message=error.message,
            is_retryable=is_retryable and not error.is_permanent,
        )

    def as_json(self) -> dict[str, Any]:
        """The seven keys as JSON values."""
        return self.model_dump(mode="json", by_alias=True)
