"""Where a request may go: hosts that an adapter announced or the owner allowed, and the addresses these may have.

The database refuses other hosts when settings are written; this is the same rule at the last moment, for settings that
were written before, and for names that resolve to somewhere else than they should.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from worker.errors import Executed, Misconfigured


@dataclass(frozen=True, slots=True)
class Destinations:
    """``announced``: the vendor's own hosts, on the public internet; ``None`` is any. ``allowed``: what the owner added
    by ``allow_host``, in a private network too. ``plain``: hosts or ``host:port`` of stand-ins, over plain http too.
    """

    announced: Collection[str] | None = None
    allowed: Collection[str] = ()
    plain: Collection[str] = ()

    def permit(self, url: str) -> None:
        """Raises Misconfigured for a URL that settings should not name: not http(s), or a host that nobody allowed."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            raise _forbidden("the URL in the settings is not a URL") from None
        if parts.scheme not in ("http", "https") or not host or parts.username is not None:
            raise _forbidden("the URL in the settings is not an http(s) URL that names a host and no user")
        if self._is_plain(host, port):
            return
        if parts.scheme == "http":
            raise _forbidden(f"plain http to {host} is not allowed; BILAG_ALLOWED_HTTP_HOSTS lists where it is")
        if self.announced is not None and host not in self.announced and host not in self.allowed:
            raise _forbidden(f"the host {host} is not allowed; bilag.allow_host() allows another host of a system")

    def permit_address(self, url: str, address: str) -> None:
        """Raises Misconfigured when the host of a permitted URL turns out to be where no accounting system is."""
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if self._is_plain(host, parts.port):
            return
        found = ip_address(address.partition("%")[0])
        if isinstance(found, IPv6Address) and found.ipv4_mapped:
            found = found.ipv4_mapped
        if found.is_link_local or (not found.is_global and host not in self.allowed):
            raise _forbidden(f"the host {host} is {found}, which is no address on the public internet")

    def _is_plain(self, host: str, port: int | None) -> bool:
        return host in self.plain or f"{host}:{port}" in self.plain


def _forbidden(message: str) -> Misconfigured:
    return Misconfigured(message, executed=Executed.NO)
