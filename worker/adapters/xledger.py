"""Xledger: vouchers go into its import queue by GraphQL, and its own import posts them later.

No sandbox was reachable when this was written, so every fact says how it is known: [C] the vendor's own text or code,
[T] a third-party client does it, [I] an inference. Further ones stand where they are used, in ``_xledger_*.py``.

* ``addGLImportItems`` only queues: an import job validates and posts [C X2, I]. So a success is *accepted*, and the
  voucher is asked for until it is seen in the ledger or among the import errors.
* At most 500 rows a mutation [C X3]; a voucher's rows go in one mutation [C X2].
* 20 requests in 5 seconds [T X6], a concurrency limit of unknown size [C X1]: one call at a time.
* A month includes 5,000 requests in the UK price list [C X2]: hence one request for a batch, and mostly one to look.
* No idempotency key is known; whether a refused batch leaves rows behind is not documented: it is looked up.
* How long a request may still be worked on after its client has gone is not documented; a minute is assumed.
* How ``amount`` and ``invoiceAmount`` differ in a foreign currency is not documented: only the ledger's own is booked.

X1 github.com/xledger/graphql-samples · X2 to X5 the GraphQL articles of xledgerukinternal.zendesk.com (economical use,
general tips, pagination, tokens) · X6 github.com/grasp-labs/ds-provider-xledger-py-lib (fields introspected live) ·
X7 github.com/Bostads-AB-Mimer/onecore (in production) · X8 github.com/omniboost/go-xledger
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import cast

from worker.adapters._xledger_graphql import ask
from worker.adapters._xledger_import import MUTATION, outcomes, prepare
from worker.adapters._xledger_lookup import look_up
from worker.adapters._xledger_settings import XledgerSettings
from worker.contract import Adapter, Batch, Call, Capabilities, Finding, Health, HealthResult, Outcome
from worker.errors import Executed, Malformed, RateLimited


class XledgerAdapter(Adapter):
    key = "xledger"
    display_name = "Xledger"
    settings_model = XledgerSettings
    capabilities = Capabilities(
        vouchers_per_batch=250,  # the smallest voucher has two rows
        lines_per_batch=500,
        confirms_later=True,
        absence_after=timedelta(seconds=60),
        hosts=("www.xledger.net", "demo.xledger.net"),
        identity_settings=("base_url", "owner_code"),
    )

    async def post(self, batch: Batch, call: Call) -> Sequence[Outcome]:
        """Queue the vouchers in one mutation. Raises AdapterError, Refused with its culprits among them."""
        prepared = prepare(batch.vouchers, cast("XledgerSettings", call.settings))
        if not prepared.vouchers:
            return prepared.rejected
        data = await ask(call, MUTATION, {"inputs": prepared.inputs}, blame=prepared.blame)
        return outcomes(prepared, data)

    async def find(self, batch: Batch, call: Call) -> Sequence[Finding]:
        return await look_up(batch, call)

    async def check(self, call: Call) -> HealthResult:
        """``{ __typename }``: proves the endpoint and the token's form [T X6]. A revoked token may still pass."""
        began = perf_counter()
        status, error, reason = Health.HEALTHY, None, None
        try:
            if "__typename" not in (await ask(call, "{ __typename }") or {}):
                raise Malformed("Xledger's answer is not to what was asked.", executed=Executed.NO, answered=True)
        except RateLimited as limit:
            status, error, reason = Health.DEGRADED, limit.message, limit.reason_code
        return HealthResult(status, round((perf_counter() - began) * 1000), datetime.now(UTC), error, reason)
