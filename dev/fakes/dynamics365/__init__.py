"""A stateful fake of Dynamics 365 Business Central's API v2.0, as far as it is known.

How a fact is known is said in marks like [MS]; ``worker/adapters/dynamics365.py`` has their key.
"""

from dev.fakes.dynamics365.app import Dynamics365Fake
from dev.fakes.dynamics365.company import Company

__all__ = ["Company", "Dynamics365Fake"]
