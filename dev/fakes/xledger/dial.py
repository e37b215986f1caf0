"""Faults that only Xledger has: GraphQL errors in an HTTP 200, and its three rate limits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dev.fakes.exchange import Exchange
from dev.fakes.fake import Fake
from dev.fakes.xledger.schema import DATETIME, VendorError

BURST, CONCURRENCY, CREDITS = (
    f"BAD_REQUEST.{code}" for code in ("BURST_RATE_LIMIT_REACHED", "CONCURRENCY_LIMIT_REACHED", "INSUFFICIENT_CREDITS")
)


class XledgerDial(Fake, ABC):
    """The dial of a fake Xledger."""

    imports_between = False

    @abstractmethod
    def local_now(self) -> datetime:
        """Now, as Xledger writes it: Norwegian local time without an offset."""

    def answer_200_with_errors(
        self,
        code: str | None = None,
        message: str = "Rejected",
        *,
        extensions: Mapping[str, Any] | None = None,
        status: int = 200,
        commit: bool = False,
        times: int | None = 1,
        on: str | None = None,
        skip: int = 0,
    ) -> None:
        """A GraphQL error with its code at the top level; ``commit`` executes the request all the same."""
        body = {"errors": [VendorError(message, code, extensions).as_json()]}
        self.answer_next(status, body, commit=commit, times=times, on=on, skip=skip)

    def rate_limit_storm(self, times: int = 30, *, on: str | None = None) -> None:
        """The three rate limits in turn."""
        for turn in range(times):
            code = (BURST, CONCURRENCY, CREDITS)[turn % 3]
            resets = {"resetAt": self.local_now().strftime(DATETIME)} if code == CREDITS else None
            self.answer_200_with_errors(code, "Rate limited", extensions=resets, on=on)

    def import_between_reads(self, times: int | None = 1, *, on: str | None = None, skip: int = 0) -> None:
        """The import job runs between the root fields of the next query: rows move while they are looked for."""

        async def play(exchange: Exchange) -> None:
            self.imports_between = True
            try:
                answer = exchange.commit()
            finally:
                self.imports_between = False
            await exchange.reply(answer)

        self._add("import_between_reads", play, times, on, skip)
