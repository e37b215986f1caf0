"""Dynamics 365 Business Central: vouchers go into a general journal of their own, which is then posted.

No sandbox was reachable when this was written, so every fact says how it is known: [MS] Microsoft's documentation, [AL]
Microsoft's source of what the endpoint runs, [EDMX] the captured metadata of a tenant, [LIVE] a third party's report of
what it saw on one, [3P] third-party code or writing, [INF] an inference. They stand where they are used, in
``_dynamics365_*.py``.

* A batch is one journal of its own. Its code was stored before anything was sent; it is used once, for one attempt.
* No idempotency key exists [MS]. What makes a journal safe is that its id is told to its maker only, that its code can
  be taken, and that posting removes the lines in the transaction that books them [AL].
* 6,000 requests in 5 minutes, 5 at once, 95 more in a queue for up to 8 minutes; an operation is given up after 8
  minutes, a request after 10 [MS]. Hence ``absence_after``, for what no journal could be closed for.
* Only the company's own currency can be booked [AL, EDMX].
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter

from worker.adapters._dynamics365_lookup import confirm, find
from worker.adapters._dynamics365_oauth import ClientCredentials
from worker.adapters._dynamics365_odata import Session
from worker.adapters._dynamics365_sending import send
from worker.adapters._dynamics365_settings import Dynamics365Settings
from worker.contract import Adapter, Batch, Call, Capabilities, Finding, Health, HealthResult, Outcome
from worker.errors import RateLimited


class Dynamics365Adapter(Adapter):
    key = "dynamics365"
    display_name = "Dynamics 365 Business Central"
    settings_model = Dynamics365Settings
    capabilities = Capabilities(
        vouchers_per_batch=250,
        lines_per_batch=800,  # eight batches of 100 operations, five of them at once
        parallel_calls=5,
        confirms_later=True,
        absence_after=timedelta(minutes=20),
        hosts=("api.businesscentral.dynamics.com", "login.microsoftonline.com"),
        identity_settings=("base_url", "company_id", "token_url"),
    )

    async def post(self, batch: Batch, call: Call) -> Sequence[Outcome]:
        """Make a journal, fill it, post it, and see it in the ledger. Raises AdapterError."""
        return await send(batch, call)

    async def find(self, batch: Batch, call: Call) -> Sequence[Finding]:
        """Close the journals first, so that what is not found can never come. Raises AdapterError."""
        return await find(batch, call)

    async def confirm(self, batch: Batch, call: Call) -> Sequence[Finding]:
        return await confirm(batch, call)

    async def authorize(self, call: Call) -> None:
        """Fetch the access token, unless the one there is lasts. Raises AdapterError."""
        await ClientCredentials(call).ready()

    async def check(self, call: Call) -> HealthResult:
        """One company's id: proves the name, the token, the environment and the application's registration [MS]."""
        began = perf_counter()
        status, error = Health.HEALTHY, None
        try:
            session = await Session.open(call)
            await session.read("companies?$top=1&$select=id", of_company=False)
        except RateLimited as limit:
            status, error = Health.DEGRADED, limit.message
        return HealthResult(status, round((perf_counter() - began) * 1000), datetime.now(UTC), error)
