"""A stateful fake of Xledger's GraphQL API, as far as it is known: ``worker/adapters/xledger.py`` has the sources."""

from dev.fakes.xledger.app import XledgerFake
from dev.fakes.xledger.books import Owner

__all__ = ["Owner", "XledgerFake"]
