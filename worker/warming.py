"""Before a scheduled run: what it will need is imported, connections are opened, and access tokens are fetched.

Nobody's data is asked for. That it fails is no matter, for the run gets what it needs itself; then it starts cold,
which is logged and counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from worker import telemetry
from worker.database import Database, Outage, Refusal

if TYPE_CHECKING:
    from worker.workshop import Workshop

AT_ONCE = 4
"""Few, for jobs go on meanwhile."""

SECONDS = 60.0
"""Then the runs have begun."""

Integration = Mapping[str, Any]


class Warmer:
    """``workshop`` makes the tools of the jobs, or gives those that there are."""

    def __init__(self, database: Database, workshop: Callable[[], Workshop]) -> None:
        self._database, self._workshop = database, workshop
        self._task: asyncio.Task[None] | None = None

    def soon(self) -> None:
        """A scheduled run is near. Returns at once."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self.warm())

    async def warm(self) -> None:
        try:
            near = await self._database.due_soon()
        except (Outage, Refusal) as error:
            telemetry.debug("warming.failed", message=str(error))
            return
        hands = asyncio.Semaphore(AT_ONCE)
        first_of_each_place = {(one["integrationType"], *one["place"]): one for one in reversed(near)}
        try:
            async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
                for one in near:
                    opens = first_of_each_place[one["integrationType"], *one["place"]] is one
                    group.create_task(self._make_ready(one, hands, opens=opens))
        except TimeoutError:
            telemetry.debug("warming.failed", message=f"not ready after {SECONDS:.0f} s")

    async def _make_ready(self, integration: Integration, hands: asyncio.Semaphore, *, opens: bool) -> None:
        from worker.calls import call_of
        from worker.credentials import CredentialProvider
        from worker.errors import BilagError

        tools = self._workshop()
        # There is no lease yet. A worker's own id opens what a scheduled run is near for, and no spare is looked for.
        provider = CredentialProvider(partial(self._database.read_credential, lease_token=self._database.worker_id))
        async with hands:
            try:
                adapter = tools.exports.load(integration["integrationType"])
                call = call_of(integration, adapter, tools.client, provider)
                if opens:
                    await adapter.warm(call)
                await adapter.authorize(call)
            except BilagError as error:
                telemetry.debug("warming.failed", adapter=integration["integrationType"], message=error.message)
            else:
                telemetry.debug("warming.done", adapter=integration["integrationType"])
