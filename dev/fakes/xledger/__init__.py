"""A stateful fake of Xledger's GraphQL API, faithful to contracts/xledger.md §1.11."""

from dev.fakes.xledger.app import XledgerFake
from dev.fakes.xledger.books import Owner

__all__ = ["Owner", "XledgerFake"]
