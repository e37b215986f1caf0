"""The job of an export: post a batch, or look one up, and account for every voucher of it.

A post is retried on answers that say "not executed". After any other failure the batch is looked for: what is surely
absent may go again, what is there is booked, and of the rest it is not known; that goes back to the database, which
asks again later. Nothing here decides when, or whether, a run is tried again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID

from worker import telemetry
from worker.attempt_log import AttemptLog, row_of
from worker.batches import batch_of
from worker.calls import call_of
from worker.contract import Adapter, Batch, Call, Finding, Outcome, Presence, Verdict
from worker.credentials import CredentialProvider
from worker.errors import BilagError, Executed, Refused
from worker.findings import absence_counts, after_refusal, all_absent, outcome_of, standing_of
from worker.leases import Lease
from worker.reports import Tally, failure_of
from worker.retry import DEFAULT, Attempt, RetryOptions, with_retry

if TYPE_CHECKING:
    from worker.http import Client

_GUARD_SECONDS = 1.0
"""How much later than a request's own timeout the whole try is cut: the request knows better what happened to it."""
_THERE = (Verdict.EXPORTED, Verdict.ACCEPTED)


class NotBegun(Exception):
    """The lease or the delivery leaves no room for a write: nothing was sent."""


@dataclass(frozen=True)
class Exports:
    """What every export job of this process shares. ``credentials`` makes the provider of one invocation."""

    load: Callable[[str], Adapter]
    client: Client
    credentials: Callable[[UUID], CredentialProvider]
    attempts: AttemptLog
    longest_write: float
    options: RetryOptions = DEFAULT

    async def perform(self, tally: Tally, lease: Lease) -> None:
        """Do one job; every item's outcome is in the tally, whether or not this returns."""
        job = tally.job
        it: _Invocation | None = None
        try:
            it = _Invocation(self, tally, lease, self.load(job["integrationType"]))
            await {"post": it.post, "find": it.find, "confirm": it.confirm, "reconcile": it.reconcile}[job["kind"]]()
        except NotBegun as reason:
            telemetry.info("write.not_begun", message=str(reason), lane=job["lane"])
            tally.release = True
        except BilagError as error:
            tally.failure = failure_of(error, job, it.tries if it else 0)


class _Invocation:
    """One job on its way through its adapter."""

    def __init__(self, shared: Exports, tally: Tally, lease: Lease, adapter: Adapter) -> None:
        job = tally.job
        self._shared, self._tally, self._lease, self._adapter, self._job = shared, tally, lease, adapter, job
        self._batch: Batch = batch_of(job)
        self._ids = {item["voucher"]["reference"]: item["id"] for item in job["items"]}
        self._call = call_of(job, adapter, shared.client, shared.credentials(UUID(job["token"])))
        self._found: Sequence[Finding] | None = None
        self._looked = self._refrained = False
        self.tries = 0

    async def post(self) -> None:
        options = self._options(self._shared.longest_write - _GUARD_SECONDS)
        try:
            outcomes = await with_retry(
                self._write, options, writes=True, on_attempt=self._log("post"), prove_absent=self._prove_absent
            )
        except Refused as error:
            await self._settle_refusal(error)
        except BilagError as error:
            self._tally.failure = failure_of(error, self._job, self.tries)
            if error.executed is Executed.NO:
                self._tally.writing = False
            else:
                await self._settle_doubt(error)
        else:
            self._tally.frame = self._adapter.frame(self._call.settings)
            self._settle(outcomes)

    async def find(self) -> None:
        await self._look(self._adapter.find, "find")

    async def confirm(self) -> None:
        await self._look(self._adapter.confirm, "confirm")

    async def reconcile(self) -> None:
        """Ask whether what was booked still stands; ``confirm`` writes nothing."""
        await self._look(self._adapter.confirm, "reconcile", standing_of)

    async def _look(
        self,
        ask: Callable[[Batch, Call], Awaitable[Sequence[Finding]]],
        operation: str,
        meaning: Callable[[Finding], Outcome] = outcome_of,
    ) -> None:
        """Ask about vouchers of earlier deliveries."""
        try:
            findings = await self._read(ask, operation)
        except BilagError as error:
            self._tally.failure = failure_of(error, self._job, self.tries)
            return
        self._settle([meaning(finding) for finding in findings])

    async def _write(self) -> Sequence[Outcome]:
        if not await self._lease.allows(self._shared.longest_write):
            self._refrained = True
            raise NotBegun("The lease left no room for a write; it is sent in the next delivery.")
        self._tally.writing = True
        self._found, self._looked = None, False
        try:
            return await self._adapter.post(self._batch, self._call)
        except BilagError as error:
            self._tally.writing = error.executed is not Executed.NO
            raise

    async def _prove_absent(self, error: BilagError) -> bool:
        """Whether a write that may have been executed surely was not."""
        if not self._believes_absence(error):
            return False
        self._looked = True
        self._found = await self._read(self._adapter.find, "find")
        absent = all_absent(self._found, self._ids)
        self._tally.writing = not absent
        # What was revoked is spent: it goes again in the next delivery, in a vehicle that is written down first.
        return absent and not any(finding.revoked for finding in self._found)

    async def _settle_refusal(self, error: Refused) -> None:
        """The batch was answered with an error about its content: prove it absent before concluding anything."""
        if error.executed is Executed.NO:
            findings: Sequence[Finding] = [Finding(reference, Presence.ABSENT) for reference in self._ids]
        else:
            findings = await self._read(self._adapter.find, "find")
        believed = error.executed is Executed.NO or self._believes_absence(error)
        self._settle(after_refusal(findings, error.culprits, error.message, believed=believed))

    async def _settle_doubt(self, error: BilagError) -> None:
        """A write whose outcome is not known: settle what one look-up finds, and leave the rest in doubt."""
        if not self._looked:
            try:
                self._found = await self._read(self._adapter.find, "find")
            except BilagError as blind:
                telemetry.info("look_up.failed", message=blind.message)  # the write's own failure says more
        believed = self._believes_absence(error)
        self._settle([outcome_of(finding, believed=believed) for finding in self._found or ()])
        if all(self._tally.outcome_of(item) in _THERE for item in self._ids.values()):
            self._tally.failure = None  # the answer was lost, the vouchers were not; the attempt's row tells it

    def _believes_absence(self, error: BilagError) -> bool:
        return absence_counts(self._job.get("absenceAfterSeconds"), answered=error.answered)

    async def _read(
        self, ask: Callable[[Batch, Call], Awaitable[Sequence[Finding]]], operation: str
    ) -> Sequence[Finding]:
        return await with_retry(
            lambda: ask(self._batch, self._call), self._options(None), on_attempt=self._log(operation)
        )

    def _settle(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            item = self._ids.get(outcome.reference)
            if item is None:
                telemetry.error("outcome.unasked", reference=outcome.reference, adapter=self._adapter.key)
                continue
            self._tally.settle(
                item,
                outcome.verdict.value,
                external_id=outcome.external_id,
                reason_code=outcome.reason_code,
                reason_params=outcome.reason_params,
                message=outcome.message,
                content=outcome.content,
                evidence={"revoked": outcome.revoked, "seen": outcome.seen},
            )

    def _options(self, timeout: float | None) -> RetryOptions:
        left = self._lease.deadline - self._lease.clock()
        return replace(self._shared.options, timeout=timeout, budget=min(self._shared.options.budget, max(left, 0)))

    def _log(self, operation: str) -> Callable[[Attempt], None]:
        def record(attempt: Attempt) -> None:
            if not self._refrained:
                self.tries = attempt.number
                self._shared.attempts.record(row_of(self._job, operation, attempt))

        return record
