"""Proof under fire. ``make chaos`` sets ``BILAG_CHAOS=long``; ``make test`` tells the short form."""

import os

LONG = os.environ.get("BILAG_CHAOS") == "long"
