"""What every accounting system is asked, and what each question promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from worker.contract.answers import Finding, HealthResult, Outcome
from worker.contract.call import Call
from worker.contract.capabilities import Capabilities
from worker.contract.frame import Frame
from worker.contract.vouchers import Batch

if TYPE_CHECKING:  # heavy imports stay out of the worker's start
    from worker.settings_schema import AdapterSettings


class Adapter(ABC):
    """One accounting system. Stateless: everything of one invocation is in its arguments.

    ``post``, ``find`` and ``confirm`` answer for every voucher of the batch, once each. They raise only the
    errors of :mod:`worker.errors`; any raised error of ``post`` that does not say "not executed" leaves the
    batch in doubt.
    """

    key: ClassVar[str]
    display_name: ClassVar[str]
    settings_model: ClassVar[type[AdapterSettings]]
    capabilities: ClassVar[Capabilities]

    @abstractmethod
    async def post(self, batch: Batch, call: Call) -> Sequence[Outcome]:
        """Send the vouchers once. No retry inside except on an answer that says "not executed"."""

    @abstractmethod
    async def find(self, batch: Batch, call: Call) -> Sequence[Finding]:
        """Look the vouchers up in the direction they travel: queue, then ledger, then errors."""

    async def confirm(self, batch: Batch, call: Call) -> Sequence[Finding]:
        """Ask what became of vouchers that the system accepted. By default the same look-up as ``find``."""
        return await self.find(batch, call)

    def frame(self, settings: AdapterSettings) -> Frame | None:
        """What stands around the vouchers of a run's file. Asked of an adapter that makes files, after every batch."""
        return None

    async def warm(self, call: Call) -> None:
        """A scheduled run is near: open connections, once for all integrations whose settings lead to the same places.

        Never asks for data. By default a HEAD of the root of each URL in the settings. What it raises is let go.
        """
        for url in {f"{p.scheme}://{p.netloc}/" for p in map(urlsplit, _urls(call.settings)) if p.netloc}:
            await call.http.send("HEAD", url, writes=False)

    async def authorize(self, call: Call) -> None:  # noqa: B027 - most systems have no such token
        """A scheduled run is near: have the access token that its calls will bear. Never asks for data.

        By default nothing, for systems that take the credential itself. What it raises is let go: the run finds out.
        """

    @abstractmethod
    async def check(self, call: Call) -> HealthResult:
        """The cheapest call that proves the connection, once, without a retry.

        What it raises is a result, too: RateLimited makes the connection degraded, any other error unreachable.
        """


def _urls(settings: AdapterSettings) -> list[str]:
    found = settings.model_dump()
    return [value for name, value in found.items() if name.endswith("_url") and isinstance(value, str)]
