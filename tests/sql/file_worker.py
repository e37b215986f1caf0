"""A worker driven by hand whose files are rendered by the real adapter."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import Any
from uuid import UUID

from tests.fix_bilag import Organisation
from tests.sql.fake_worker import FakeWorker, Job, Report
from worker import adapters
from worker.batches import batch_of
from worker.calls import call_of
from worker.credentials import CredentialProvider
from worker.http import Client
from worker.reports import Tally


async def _no_secret(_integration: Any) -> None:
    raise AssertionError("a file needs no credential")


class FileWorker(FakeWorker):
    """``render`` does a job without reporting it."""

    def render(self, job: Job) -> Report:
        tally = Tally(job)
        adapter = adapters.load(job["integrationType"])
        call = call_of(job, adapter, Client(), CredentialProvider(_no_secret))
        if job["kind"] != "post":
            found = asyncio.run(adapter.find(batch_of(job), call))
            outcomes = [(finding.reference, finding.presence.value, finding) for finding in found]
        else:
            tally.frame = adapter.frame(call.settings)
            posted = asyncio.run(adapter.post(batch_of(job), call))
            outcomes = [(outcome.reference, outcome.verdict.value, outcome) for outcome in posted]  # type: ignore[misc]
        ids = {item["voucher"]["reference"]: item["id"] for item in job["items"]}
        for reference, word, said in outcomes:
            facts: Any = {n: getattr(said, n, None) for n in ("external_id", "reason_code", "message", "content")}
            tally.settle(ids[reference], word, reason_params=getattr(said, "reason_params", None), **facts)
        return tally.report(release=False)

    def export(self) -> int:
        """Claim, render and settle until nothing is due; how many jobs were done."""
        done = 0
        while jobs := self.claim():
            while jobs:
                assert done < 2000, "the same work comes again and again"
                done += len(jobs)
                jobs = self.tell(*map(self.render, jobs))
        return done


def file_of(org: Organisation, run: Any) -> bytes | None:
    """What the table holds of a run's file; None when it has none."""
    rows = org.database.sql("select content from bilag.export_files where run_id = %s", run)
    return rows[0][0] if rows else None


def rows(content: bytes | None) -> list[dict[str, str]]:
    assert content is not None
    return list(csv.DictReader(io.StringIO(content.decode("utf-8"), newline="")))


def numbers(content: bytes | None) -> list[str]:
    return [row["claim_number"] for row in rows(content) if row["account_code"] == "2910"]


def small_batches(org: Organisation, vouchers: int) -> None:
    org.database.sql("update bilag.integration_types set vouchers_per_batch = %s", vouchers)


def holds_what_was_exported(org: Organisation, run: UUID) -> None:
    """The file of an ended run and what the database calls exported are the same vouchers, each once."""
    exported = org.database.sql(
        "select c.claim_number from bilag.export_items i join bilag.expense_claims c on c.id = i.claim_id"
        " where i.run_id = %s and i.state = 'exported' order by i.voucher_number",
        run,
    )
    content = file_of(org, run)
    assert numbers(content) == [number for (number,) in exported] if exported else content is None
    assert org.database.sql("select from bilag_internal.files_begun where run_id = %s", run) == []
    assert (
        org.database.sql(
            "select from bilag_internal.file_pieces p join bilag.export_items i on i.id = p.item_id where run_id = %s",
            run,
        )
        == []
    )
