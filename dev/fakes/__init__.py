"""Stateful stand-ins for accounting systems, shared by tests, demo, compose and chaos.

with serving(XledgerFake()) as erp:
    erp.fail_next(429, after=30)
    ...                       # an adapter posts to erp.url
    erp.ledger.vouchers()     # what was really booked
    erp.unused()              # scripted faults that never happened
"""

from dev.fakes.dynamics365 import Dynamics365Fake
from dev.fakes.server import serving
from dev.fakes.xledger import XledgerFake

__all__ = ["Dynamics365Fake", "XledgerFake", "serving"]
