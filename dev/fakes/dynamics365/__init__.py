"""A stateful fake of Dynamics 365 Business Central's API v2.0, faithful to contracts/dynamics365.md part A."""

from dev.fakes.dynamics365.app import Dynamics365Fake
from dev.fakes.dynamics365.company import Company

__all__ = ["Company", "Dynamics365Fake"]
