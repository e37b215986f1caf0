"""What an adapter says of its system before it is asked anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an adapter can do and prove; announced to ``bilag.integration_types`` by ``bilag migrate``.

    ``absence_after``: after an unanswered write, absence counts only once this much time has passed, because
    the request may still be on its way into the system; unless a look-up has revoked what was on its way.
    ``None``: the adapter can never prove absence by waiting.
    ``hosts``: the vendor's own hosts; a URL in the settings to any other host is refused until it is allowed.
    ``identity_settings``: the settings that decide which ledger is reached.
    ``own_currency_when``: settings with which only the ledger's own currency is booked, although ``foreign_currency``.
    ``makes_file``: nothing is sent; every success carries its ``content``, and :meth:`Adapter.frame` what is around it.
    """

    vouchers_per_batch: int
    lines_per_batch: int
    parallel_calls: int = 1
    finds: bool = True
    confirms_later: bool = False
    needs_credential: bool = True
    foreign_currency: bool = False
    own_currency_when: Mapping[str, str] = field(default_factory=dict)
    makes_file: bool = False
    absence_after: timedelta | None = timedelta(0)
    hosts: tuple[str, ...] = ()
    identity_settings: tuple[str, ...] = ()
