"""Before a scheduled run: what it will need is imported, and connections to its accounting system are opened.

Nothing is asked of anybody's data, and no credential is used: there is no lease yet. That it fails is no matter, for
the run opens what it needs itself; then it starts cold, which is logged and counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

from worker import telemetry
from worker.database import Database, Outage, Refusal

if TYPE_CHECKING:
    from worker.workshop import Workshop


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
        async with asyncio.TaskGroup() as group:
            for integration in near:
                group.create_task(self._open(integration))

    async def _open(self, integration: dict[str, object]) -> None:
        from worker.calls import call_of
        from worker.credentials import CredentialProvider
        from worker.errors import BilagError

        async def no_lease(_integration_id: UUID) -> None:
            return None

        tools = self._workshop()
        try:
            adapter = tools.exports.load(str(integration["integrationType"]))
            await adapter.warm(call_of(integration, adapter, tools.client, CredentialProvider(no_lease)))
        except BilagError as error:
            telemetry.debug("warming.failed", adapter=integration["integrationType"], message=error.message)
        else:
            telemetry.debug("warming.done", adapter=integration["integrationType"])
