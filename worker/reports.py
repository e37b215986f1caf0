"""What is known of a job at any moment, and the report made of it: every item once, whatever happened in between.

A job can end by its own outcome, by a deadline, by a shutdown or by a bug. What it then had not settled is ``unsent``
when its write had not begun, and ``unknown`` otherwise: those are looked up, never guessed at.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from worker import redaction, telemetry
from worker.errors import BilagError

if TYPE_CHECKING:
    from worker.contract import Frame


@dataclass(slots=True)
class Failure:
    """Why a job could not be finished: the seven keys, and what SQL should know beside them."""

    error: Mapping[str, Any]
    reason_code: str | None = None
    retry_after_seconds: float | None = None

    def as_json(self) -> dict[str, Any]:
        error = {**self.error, "message": redaction.message(str(self.error.get("message", "")))}
        return {"error": error, "reasonCode": self.reason_code, "retryAfterSeconds": self.retry_after_seconds}


@dataclass(slots=True)
class Tally:
    """The running account of one job. ``job`` is the job as the database gave it.

    ``writing``: a write has begun and may arrive. ``release``: this delivery is over, the lane goes on in another.
    ``frame``: what stands around the vouchers, when they go into a file.
    """

    job: Mapping[str, Any]
    writing: bool = False
    failure: Failure | None = None
    release: bool = False
    frame: Frame | None = None
    _results: dict[int, dict[str, Any]] = field(default_factory=dict)

    def settle(
        self,
        item_id: int,
        outcome: str,
        *,
        external_id: str | None = None,
        reason_code: str | None = None,
        reason_params: Mapping[str, Any] | None = None,
        message: str | None = None,
        content: bytes | None = None,
        evidence: Mapping[str, bool] | None = None,
    ) -> None:
        """Note what became of one item; a later word about it replaces the earlier."""
        self._results[item_id] = {
            "outcome": outcome,
            "externalId": external_id,
            "reasonCode": reason_code,
            "reasonParams": dict(reason_params or {}),
            "message": redaction.message(message) if message else None,
            **{name: True for name, holds in (evidence or {}).items() if holds},
        }
        if content is not None:
            self._results[item_id]["content"] = b64encode(content).decode("ascii")

    def outcome_of(self, item_id: int) -> str | None:
        result = self._results.get(item_id)
        return result["outcome"] if result else None

    def report(self, *, release: bool) -> dict[str, Any]:
        """The whole report. ``release``: hand this worker nothing more of the lane."""
        rest = "unknown" if self.writing or self.job.get("kind") != "post" else "unsent"
        results = []
        for item in self.job.get("items") or []:
            known = self._results.get(item["id"]) or _nothing_known(rest)
            results.append({"id": item["id"], "attempt": item["attempt"], **known})
        return {
            **{key: self.job.get(key) for key in ("lane", "token", "runId", "kind", "correlationId")},
            **({"file": self.frame.as_json()} if self.frame else {}),
            "results": results,
            "failure": self.failure.as_json() if self.failure else None,
            "release": release or self.release,
        }


def _nothing_known(outcome: str) -> dict[str, Any]:
    return {"outcome": outcome, "externalId": None, "reasonCode": None, "reasonParams": {}, "message": None}


def failure_of(error: BilagError, job: Mapping[str, Any], attempt: int) -> Failure:
    """The structured failure of an invocation: it is not retried in it, whatever the database does later."""
    from worker.failure import FailurePayload  # lazily, for the cold start

    payload = FailurePayload.of(
        error,
        correlation_id=UUID(job["correlationId"]),
        adapter_name=job["integrationType"],
        attempt=max(attempt, 1),
    )
    return Failure(payload.as_json(), error.reason_code, error.retry_after)


def failure_of_ours(job: Mapping[str, Any], message: str) -> Failure:
    """The failure of a job that this worker broke: transient, for the next delivery may do better."""
    return Failure(
        {
            "correlationId": job.get("correlationId"),
            "errorClass": "transient",
            "httpStatus": None,
            "adapterName": str(job.get("integrationType") or "unknown"),
            "attempt": 1,
            "message": message,
            "isRetryable": False,
        }
    )


def tell(tally: Tally) -> None:
    """Say how a job went, under its own correlation id."""
    job = tally.job
    if tally.failure:
        error = tally.failure.error
        telemetry.warning(
            "job.failed",
            kind=job["kind"],
            adapter=job["integrationType"],
            error_class=error["errorClass"],
            http_status=error["httpStatus"],
            message=error["message"],
            reason_code=tally.failure.reason_code,
            attempt=error["attempt"],
        )
    else:
        telemetry.debug("job.finished", kind=job["kind"], adapter=job["integrationType"], items=len(job["items"]))
